//! Known data sets: what can be opened by name, and what can be had elsewhere, with source and licence.

/// How a data set is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// In the binary.
    Embedded,
    /// Made on the spot.
    Synthetic,
    /// To be downloaded.
    Download,
}

/// A file to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteFile {
    /// Where it is.
    pub url: &'static str,
    /// SHA-256 of the file, where it is known.
    pub sha256: Option<&'static str>,
}

/// A known data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The name to open it by, or to save it under.
    pub name: &'static str,
    /// How it is had.
    pub access: Access,
    /// What it is.
    pub about: &'static str,
    /// Who made it.
    pub source: &'static str,
    /// Under which licence.
    pub licence: &'static str,
    /// Its files, for downloads.
    pub files: &'static [RemoteFile],
    /// How to open it once it is there.
    pub open_with: &'static str,
}

const fn toy(name: &'static str, about: &'static str) -> Entry {
    let (source, licence) = ("made by this program", "none needed");
    Entry {
        name,
        access: Access::Synthetic,
        about,
        source,
        licence,
        files: &[],
        open_with: name,
    }
}

const fn file(url: &'static str, sha256: &'static str) -> RemoteFile {
    RemoteFile {
        url,
        sha256: Some(sha256),
    }
}

const MNIST: &[RemoteFile] = &[
    file(
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    file(
        "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    file(
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    file(
        "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
];

const ENTRIES: &[Entry] = &[
    Entry {
        name: "digits",
        access: Access::Embedded,
        about: "1,797 handwritten digits, 8x8 grey pixels, 10 classes",
        source: "Alpaydin and Kaynak 1998, UCI Machine Learning Repository, doi:10.24432/C50P49",
        licence: "CC BY 4.0",
        files: &[],
        open_with: "digits",
    },
    toy("circle", "2 features, 2 classes: a disc in a ring"),
    toy("xor", "2 features, 2 classes: opposite quadrants alike"),
    toy("gauss", "2 features, 2 classes: two clouds"),
    toy("spiral", "2 features, 2 classes: two arms"),
    toy("plane", "2 features, regression of a plane"),
    toy("and", "2 bits, 2 classes: the table of AND"),
    toy("or", "2 bits, 2 classes: the table of OR"),
    Entry {
        name: "mnist",
        access: Access::Download,
        about: "70,000 handwritten digits, 28x28 grey pixels, 10 classes, official test set",
        source: "LeCun, Cortes and Burges 1998",
        licence: "CC BY-SA 3.0 as commonly given",
        files: MNIST,
        open_with: "the folder with the four files",
    },
    Entry {
        name: "california-housing",
        access: Access::Download,
        about: "20,640 census block groups, 8 numbers and 1 category, regression of the house value",
        source: "Pace and Barry 1997, StatLib, as prepared by A. Geron",
        licence: "Apache-2.0 (the repository)",
        files: &[file(
            "https://raw.githubusercontent.com/ageron/handson-ml/master/datasets/housing/housing.csv",
            "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e",
        )],
        open_with: "housing.csv with --target median_house_value",
    },
    Entry {
        name: "eurosat-rgb",
        access: Access::Download,
        about: "27,000 Sentinel-2 patches, 64x64 RGB, 10 classes of land use",
        source: "Helber et al. 2019, doi:10.5281/zenodo.7711810",
        licence: "MIT; contains modified Copernicus Sentinel data",
        files: &[RemoteFile {
            url: "https://zenodo.org/records/7711810/files/EuroSAT_RGB.zip",
            sha256: None,
        }],
        open_with: "the zip as it is",
    },
];

/// All known data sets.
///
/// ```
/// use graticule_data::catalogue::{entries, Access};
/// assert!(entries().iter().any(|e| e.name == "digits" && e.access == Access::Embedded));
/// ```
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

/// The known data set of this name.
pub fn by_name(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenOptions, open, toys::Toy};

    #[test]
    fn what_needs_no_download_opens_by_its_name() {
        let here = entries().iter().filter(|e| e.access != Access::Download);
        assert!(
            here.clone()
                .all(|entry| open(entry.name, &OpenOptions::default()).is_ok())
        );
        assert_eq!(here.count(), Toy::ALL.len() + 1);
    }

    #[test]
    fn downloads_are_complete() {
        for entry in entries().iter().filter(|e| e.access == Access::Download) {
            assert!(!entry.files.is_empty() && !entry.licence.is_empty());
            for file in entry.files {
                assert!(file.url.starts_with("https://"));
                assert!(
                    file.sha256
                        .is_none_or(|s| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit()))
                );
            }
        }
        assert!(by_name("mnist").is_some() && by_name("imagenet").is_none());
    }
}
