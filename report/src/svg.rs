//! A small SVG writer: shapes in, text out, everything escaped.
//!
//! Ink is `currentColor`, so a figure takes the colour of the text around it on light and on dark pages.
//! Categorical colours are attributes (right on their own) plus a class the report's stylesheet can override.

use std::fmt::Write;

use crate::colour;

/// Font stack of every figure; only fonts that the reader's machine already has.
const FONT: &str =
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif";

/// Where a text's own point lies in it.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// One figure under construction.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    alt: String,
    body: String,
}

impl Svg {
    /// An empty drawing of `width` × `height` user units, described to screen readers by `alt`.
    pub fn new(width: f64, height: f64, alt: &str) -> Self {
        Self {
            width,
            height,
            alt: alt.to_string(),
            body: String::new(),
        }
    }

    /// Appends markup that is already well formed.
    pub fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
        self.body.push('\n');
    }

    /// A straight line; `attrs` holds its remaining attributes.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), attrs: &str) {
        let (x1, y1, x2, y2) = (n(from.0), n(from.1), n(to.0), n(to.1));
        self.raw(&format!(
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {attrs}/>"#
        ));
    }

    /// A rectangle `[x, y, width, height]` with an optional tooltip.
    pub fn rect(&mut self, [x, y, w, h]: [f64; 4], attrs: &str, tooltip: Option<&str>) {
        let open = format!(
            r#"<rect x="{}" y="{}" width="{}" height="{}" {attrs}"#,
            n(x),
            n(y),
            n(w.max(0.0)),
            n(h.max(0.0))
        );
        match tooltip {
            Some(text) => self.raw(&format!("{open}><title>{}</title></rect>", escape(text))),
            None => self.raw(&format!("{open}/>")),
        }
    }

    /// A path from ready-made path data.
    pub fn path(&mut self, data: &str, attrs: &str) {
        if !data.is_empty() {
            self.raw(&format!(r#"<path d="{data}" {attrs}/>"#));
        }
    }

    /// A circle.
    pub fn circle(&mut self, (x, y): (f64, f64), radius: f64, attrs: &str) {
        self.raw(&format!(
            r#"<circle cx="{}" cy="{}" r="{}" {attrs}/>"#,
            n(x),
            n(y),
            n(radius)
        ));
    }

    /// One line of text; `content` is escaped.
    pub fn text(&mut self, (x, y): (f64, f64), size: f64, anchor: Anchor, attrs: &str, content: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let fill = if attrs.contains("fill=") {
            ""
        } else {
            r#" fill="currentColor""#
        };
        self.raw(&format!(
            r#"<text x="{}" y="{}" font-size="{}"{anchor}{fill} {attrs}>{}</text>"#,
            n(x),
            n(y),
            n(size),
            escape(content)
        ));
    }

    /// A PNG picture stretched over `[x, y, width, height]`; `pixelated` keeps its pixels square.
    pub fn image(&mut self, [x, y, w, h]: [f64; 4], data_uri: &str, pixelated: bool, alt: &str) {
        let rendering = if pixelated {
            r#" style="image-rendering:pixelated""#
        } else {
            ""
        };
        self.raw(&format!(
            r#"<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none"{rendering} href="{data_uri}"><title>{}</title></image>"#,
            n(x),
            n(y),
            n(w),
            n(h),
            escape(alt)
        ));
    }

    /// Opens a nested viewport that clips its content to `[x, y, width, height]` and keeps the outer coordinates.
    ///
    /// A nested viewport needs no id, so figures never clash when many stand in one page.
    pub fn open_clip(&mut self, [x, y, w, h]: [f64; 4]) {
        let (x, y, w, h) = (n(x), n(y), n(w), n(h));
        self.raw(&format!(
            r#"<svg x="{x}" y="{y}" width="{w}" height="{h}" viewBox="{x} {y} {w} {h}" overflow="hidden">"#
        ));
    }

    /// Closes the viewport of [`Svg::open_clip`].
    pub fn close_clip(&mut self) {
        self.raw("</svg>");
    }

    /// The figure's title, top left.
    pub fn title(&mut self, title: &str) {
        let shown = shorten(title, 15.5, self.width - 16.0);
        self.text((8.0, 22.0), 15.0, Anchor::Start, r#"font-weight="600""#, &shown);
    }

    /// Small remarks under the figure, one line each, ending at `bottom`.
    pub fn notes(&mut self, notes: &[String], left: f64, top: f64) {
        for (i, note) in notes.iter().enumerate() {
            let shown = shorten(note, 11.5, self.width - left - 4.0);
            self.text(
                (left, top + 15.0 * i as f64),
                11.5,
                Anchor::Start,
                r#"fill-opacity="0.7""#,
                &shown,
            );
        }
    }

    /// The finished SVG document.
    pub fn finish(self) -> String {
        let (w, h) = (n(self.width), n(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             role=\"img\" aria-label=\"{}\" font-family=\"{FONT}\">\n{}</svg>\n",
            escape(&self.alt),
            self.body
        )
    }
}

/// Stroke of category `index`: an attribute, and a class for the page's stylesheet.
pub(crate) fn stroke(index: usize) -> String {
    let slot = index % colour::CATEGORIES.len();
    format!(
        r#"class="gs{slot}" stroke="{}""#,
        colour::css(colour::CATEGORIES[slot])
    )
}

/// Fill of category `index`: an attribute, and a class for the page's stylesheet.
pub(crate) fn fill(index: usize) -> String {
    let slot = index % colour::CATEGORIES.len();
    format!(
        r#"class="gf{slot}" fill="{}""#,
        colour::css(colour::CATEGORIES[slot])
    )
}

/// A figure that says it has nothing to show.
pub(crate) fn no_data(title: &str, notes: &[String]) -> String {
    let mut svg = Svg::new(
        420.0,
        150.0 + 15.0 * notes.len() as f64,
        &format!("{title}: no data"),
    );
    svg.title(title);
    let frame = r#"fill="none" stroke="currentColor" stroke-opacity="0.3" stroke-dasharray="4 4" rx="6""#;
    svg.rect([8.0, 36.0, 404.0, 96.0], frame, None);
    svg.text(
        (210.0, 89.0),
        14.0,
        Anchor::Middle,
        r#"fill-opacity="0.7""#,
        "no data",
    );
    svg.notes(notes, 8.0, 150.0);
    svg.finish()
}

/// A coordinate with at most two decimals and no trailing zeros.
pub(crate) fn n(value: f64) -> String {
    let mut text = format!("{value:.2}");
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    if text == "-0" { "0".to_string() } else { text }
}

/// Text made safe for XML and HTML content and attributes; control characters XML forbids become `�`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Estimated width of `text` at `size`; figures must place labels without a font engine.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
            'f' | 't' | 'r' | ' ' | '(' | ')' | '-' | '/' => 0.4,
            'm' | 'w' | 'M' | 'W' | '@' | '%' | '→' => 0.92,
            c if c.is_ascii_uppercase() => 0.7,
            c if c.is_ascii() => 0.61,
            c if (c as u32) < 0x2e80 => 0.66,
            _ => 1.05,
        })
        .sum();
    em * size
}

/// `text` cut with `…` so that it is at most `room` wide at `size`.
pub(crate) fn shorten(text: &str, size: f64, room: f64) -> String {
    if text_width(text, size) <= room {
        return text.to_string();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, size) + 0.66 * size > room {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    kept
}

/// Path data of round dots: zero-length strokes, a dozen bytes each.
pub(crate) fn dots(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    points.into_iter().fold(String::new(), |mut data, (x, y)| {
        let _ = write!(data, "M{} {}h0", n(x), n(y));
        data
    })
}
