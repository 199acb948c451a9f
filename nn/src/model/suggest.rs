//! "Did you mean": the known names nearest to a mistyped one.

/// The names of `known` that are most like `word`, best first, three at most; none that is unlike it.
///
/// ```
/// use graticule_nn::model::nearest;
/// assert_eq!(nearest("lennet5", &["mlp", "lenet5", "lenet1"]), ["lenet5", "lenet1"]);
/// assert!(nearest("xyz", &["conv", "dense"]).is_empty());
/// ```
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let likeness = |name: &str| {
        let edits = strsim::normalized_damerau_levenshtein(&word, name);
        let begins = word.len() >= 2 && (name.starts_with(&word) || word.starts_with(name));
        if begins { edits.max(0.9) } else { edits }
    };
    let mut scored: Vec<(f64, &str)> = known.iter().map(|name| (likeness(name), *name)).collect();
    scored.retain(|(likeness, _)| *likeness > 0.55);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// ``; did you mean `a` or `b`?``, or nothing.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let names: Vec<String> = nearest(word, known).iter().map(|n| format!("`{n}`")).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", names.join(" or ")),
    }
}
