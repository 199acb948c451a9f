//! What the folders of an image data set mean: classes, and roles where they are named train, val, test.

use crate::{DataError, ErrorKind, Role};
use std::path::Path;

/// Class and role of every image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FolderLayout {
    /// Class names in order.
    pub(super) classes: Vec<String>,
    /// The kept images: place in the list of names, class, role.
    pub(super) images: Vec<(usize, usize, Option<Role>)>,
    /// Images that lie in no class folder.
    pub(super) without_class: usize,
}

/// Finds the classes: `CLASS/…`, `ROOT/CLASS/…`, or `train/CLASS/…` beside `test/CLASS/…`.
pub(super) fn understand(names: &[String], origin: &Path) -> Result<FolderLayout, DataError> {
    if names.is_empty() {
        return Err(DataError::new(ErrorKind::Empty, origin.display())
            .found("no PNG, JPEG or TIFF image")
            .expected("one folder for each class, with images in it")
            .remedy("Check the path; a table is opened by its file name, with a target column."));
    }
    let mut parts: Vec<Vec<&str>> = names.iter().map(|name| name.split('/').collect()).collect();
    while strip_common_folder(&mut parts) {}
    let by_role = parts
        .iter()
        .all(|p| p.len() >= 3 && Role::from_word(p[0]).is_some());
    let roles: Vec<Option<Role>> = parts
        .iter()
        .map(|p| if by_role { Role::from_word(p[0]) } else { None })
        .collect();
    let class_part = usize::from(by_role);
    let class_of = |p: &[&str]| (p.len() > class_part + 1).then(|| p[class_part].to_owned());
    let of_image: Vec<Option<String>> = parts.iter().map(|p| class_of(p)).collect();
    let mut classes: Vec<String> = of_image.iter().flatten().cloned().collect();
    classes.sort_unstable();
    classes.dedup();
    check_classes(&classes, origin)?;
    let class = |(place, name): (usize, &Option<String>)| {
        let class = classes.binary_search(name.as_ref()?).ok()?;
        Some((place, class, roles[place]))
    };
    let images: Vec<_> = of_image.iter().enumerate().filter_map(class).collect();
    let without_class = names.len() - images.len();
    Ok(FolderLayout {
        classes,
        images,
        without_class,
    })
}

/// Removes the first folder where all images share it and there are folders below it.
fn strip_common_folder(parts: &mut [Vec<&str>]) -> bool {
    let Some(first) = parts.first().map(|p| p[0]) else {
        return false;
    };
    let common = parts.iter().all(|p| p.len() >= 3 && p[0] == first);
    if common {
        for part in parts {
            part.remove(0);
        }
    }
    common
}

fn check_classes(classes: &[String], origin: &Path) -> Result<(), DataError> {
    let error = match classes {
        [] => DataError::new(ErrorKind::Empty, origin.display()).found("images, but no folders for classes"),
        [only] => {
            DataError::new(ErrorKind::OneClass, origin.display()).found(format!("one class only, `{only}`"))
        }
        _ => return Ok(()),
    };
    Err(error
        .expected("at least two classes, each a folder of images")
        .remedy("Sort the images into one folder for each class, and give the folder above them."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(names: &[&str]) -> Result<FolderLayout, DataError> {
        let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
        understand(&names, Path::new("set"))
    }

    #[test]
    fn folders_are_classes_also_below_a_common_folder() {
        for prefix in ["", "2750/", "data/2750/"] {
            let names = ["Forest/a.jpg", "River/b.jpg", "River/c.jpg"].map(|n| format!("{prefix}{n}"));
            let found = understand(&names, Path::new("set")).unwrap();
            assert_eq!(found.classes, ["Forest", "River"]);
            assert_eq!(found.images, [(0, 0, None), (1, 1, None), (2, 1, None)]);
        }
    }

    #[test]
    fn s6_role_folders_give_the_roles() {
        let found = layout(&["train/a/1.png", "train/b/2.png", "val/a/3.png", "test/b/4.png"]).unwrap();
        assert_eq!(found.classes, ["a", "b"]);
        assert_eq!(found.images[2], (2, 0, Some(Role::Validation)));
        assert_eq!(found.images[3], (3, 1, Some(Role::Test)));
    }

    #[test]
    fn images_outside_of_class_folders_are_counted_not_used() {
        let found = layout(&["a/1.png", "b/2.png", "overview.png"]).unwrap();
        assert_eq!((found.images.len(), found.without_class), (2, 1));
    }

    #[test]
    fn no_image_no_class_and_one_class_are_errors() {
        assert_eq!(layout(&[]).unwrap_err().kind, ErrorKind::Empty);
        assert_eq!(layout(&["1.png", "2.png"]).unwrap_err().kind, ErrorKind::Empty);
        let one = layout(&["Forest/1.png", "Forest/2.png"]).unwrap_err();
        assert_eq!(one.kind, ErrorKind::OneClass);
        assert!(one.to_string().contains("Forest"));
    }
}
