//! A small check that SVG text is well-formed XML: balanced tags, quoted attributes, known entities.

/// Panics with the place when `text` is not well formed.
pub fn assert_well_formed(text: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start]);
        let tag_end = end_of_tag(&rest[start..]);
        let tag = &rest[start + 1..start + tag_end];
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name.trim()), "in {text}"),
            None => {
                let name = tag.split([' ', '/', '\n']).next().unwrap_or_default().to_string();
                check_attributes(tag[name.len()..].trim_end_matches('/'));
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
        }
        rest = &rest[start + tag_end + 1..];
    }
    check_text(rest);
    assert!(open.is_empty(), "never closed: {open:?}");
    assert!(
        !text.contains("NaN\"") && !text.contains("inf\""),
        "a coordinate is not finite: {text}"
    );
}

fn end_of_tag(tag: &str) -> usize {
    let mut quoted = false;
    tag.char_indices()
        .find(|&(_, c)| {
            quoted ^= c == '"';
            c == '>' && !quoted
        })
        .unwrap_or_else(|| panic!("a tag never ends: {tag:.80}"))
        .0
}

fn check_attributes(text: &str) {
    let mut rest = text.trim();
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once("=\"")
            .unwrap_or_else(|| panic!("not an attribute: {rest:.80}"));
        assert!(
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-:".contains(c)),
            "attribute name {name:?}"
        );
        assert!(!seen.contains(&name), "attribute {name} twice in {text}");
        seen.push(name);
        let (value, after) = after.split_once('"').expect("a quote never ends");
        check_text(value);
        rest = after.trim_start();
    }
}

fn check_text(text: &str) {
    assert!(!text.contains('<'), "{text}");
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"]
            .iter()
            .any(|e| text[at..].starts_with(e));
        assert!(known, "bare & in {text}");
    }
    assert!(
        text.chars().all(|c| !c.is_control() || "\t\n\r".contains(c)),
        "control character in {text:?}"
    );
}
