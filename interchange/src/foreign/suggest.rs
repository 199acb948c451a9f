//! What a file that does not fit looks like.

use crate::TensorProblem as P;

/// A line on what the file seems to be and what to do; empty when nothing can be said.
pub(super) fn suggestion(
    problems: &[P],
    fit: usize,
    wanted: &[String],
    found: &[(&str, &[usize])],
) -> String {
    if fit == 0 {
        let first = |mut names: Vec<&str>| {
            names.truncate(3);
            names
                .iter()
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let theirs = first(found.iter().map(|(name, _)| *name).collect());
        let ours = first(wanted.iter().map(String::as_str).collect());
        return format!(
            "\n  this looks like the weights of another network: expected {ours} …, found {theirs} …"
        );
    }
    let head = wanted.last().map_or("", |name| super::layer_of(name));
    let in_head = |name: &String| super::layer_of(name) == head;
    let classes = |problem: &P| match problem {
        P::Shape {
            name,
            found,
            expected,
        } if in_head(name) => match (&found[..], &expected[..]) {
            ([found, inputs @ ..], [expected, wanted @ ..]) if inputs == wanted => Some((*found, *expected)),
            _ => None,
        },
        _ => None,
    };
    let of_head: Vec<(usize, usize)> = problems.iter().filter_map(classes).collect();
    if let (Some((found, expected)), true) = (of_head.first(), of_head.len() == problems.len()) {
        return format!(
            "\n  this looks like the head for {found} classes where {expected} are wanted; ask for {found} outputs, or train \
             a new head"
        );
    }
    let count = |of: fn(&P) -> bool| problems.iter().filter(|p| of(p)).count();
    let (missing, more) = (
        count(|p| matches!(p, P::Missing { .. })),
        count(|p| matches!(p, P::Unexpected { .. })),
    );
    match (missing, more) {
        (0, more) if more == problems.len() => "\n  this looks like a larger network of this family".into(),
        (missing, 0) if missing == problems.len() => {
            "\n  this looks like a smaller network of this family, or a part of one".into()
        }
        _ => String::new(),
    }
}
