//! Pictures of the network itself: what it looks for, whatever it says of an input.
//!
//! A kind of picture is a file here with its function, and a line in [`KINDS`].

mod activations;
mod classes;
mod embedding;
mod features;
mod filters;
mod inversion;
mod patches;
mod sought;
mod stream;

use serde_json::{Map, Value};
use train::Network;

use super::Args;
use super::folder::Folder;
use super::progress::Bar;
use crate::error::{Exit, Outcome};
use crate::output::Output;
use crate::run_file::Found;
use report::html::Report;

/// All kinds that suit the network and need no samples.
const GROUP: &str = "network";

/// A kind of picture.
pub struct Kind {
    /// How `--method` calls it.
    pub name: &'static str,
    /// Why it does not suit a network; none where it does.
    unsuited: fn(&Network) -> Option<String>,
    draw: fn(&mut Scene) -> Outcome<Section>,
    /// Whether it needs samples; such kinds are drawn only where they are named.
    of_data: bool,
}

/// In the order of the page.
const KINDS: [Kind; 7] = [
    Kind {
        name: "filters",
        unsuited: filters::unsuited,
        draw: filters::draw,
        of_data: false,
    },
    Kind {
        name: "features",
        unsuited: sought::unsuited,
        draw: features::draw,
        of_data: false,
    },
    Kind {
        name: "classes",
        unsuited: sought::unsuited,
        draw: classes::draw,
        of_data: false,
    },
    Kind {
        name: "inversion",
        unsuited: sought::unsuited,
        draw: inversion::draw,
        of_data: false,
    },
    of_data("activations", activations::draw),
    of_data("patches", patches::draw),
    of_data("embedding", embedding::draw),
];

/// A kind that looks at samples, and says itself what it cannot draw.
const fn of_data(name: &'static str, draw: fn(&mut Scene) -> Outcome<Section>) -> Kind {
    Kind {
        name,
        unsuited: |_| None,
        draw,
        of_data: true,
    }
}

/// What a kind draws from, and where its files go.
pub struct Scene<'a> {
    pub args: &'a Args,
    /// The run, for its own data (`samples::of_pictures`).
    pub found: &'a Found,
    pub network: &'a mut Network,
    pub folder: &'a Folder,
    pub bar: &'a Bar,
}

/// What came out: a section of the page, lines for people, and an object for programs.
#[derive(Default)]
pub struct Section {
    pub title: String,
    /// Paragraphs above the figures.
    pub texts: Vec<String>,
    /// SVG figures with their captions.
    pub figures: Vec<(String, String)>,
    /// One line, which comes behind the name of the kind.
    pub told: String,
    /// Names of files and numbers, for `--json`.
    pub object: Map<String, Value>,
}

/// The kinds that a command line asks for.
#[derive(Default)]
pub struct Chosen {
    kinds: Vec<Asked>,
    /// Kinds of the group that do not suit the network, and why.
    pub left_out: Vec<String>,
}

/// A kind, and whether it was named or is one of the group.
struct Asked {
    kind: &'static Kind,
    named: bool,
}

/// All that was drawn.
#[derive(Default)]
pub struct Drawn {
    pub sections: Vec<(&'static str, Section)>,
    pub left_out: Vec<String>,
}

/// Whether a name of `--method` is a kind of picture of the network, or all of them.
pub fn is_kind(name: &str) -> bool {
    name == GROUP || KINDS.iter().any(|kind| kind.name == name)
}

/// The names that `--method` knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name).chain([GROUP])
}

/// The kinds that `names` ask for, in the order of the page.
///
/// One that is named and does not suit is drawn all the same, so that its own error says what it needs.
pub fn chosen(names: &[String], network: &Network) -> Chosen {
    let asked = |name: &str| names.iter().any(|n| n == name);
    let mut chosen = Chosen::default();
    for kind in &KINDS {
        let named = asked(kind.name);
        if !named && (kind.of_data || !asked(GROUP)) {
            continue;
        }
        match (kind.unsuited)(network).filter(|_| !named) {
            None => chosen.kinds.push(Asked { kind, named }),
            Some(why) => chosen.left_out.push(left_out(kind.name, &why)),
        }
    }
    chosen
}

fn left_out(name: &str, why: &str) -> String {
    format!("{name} is left out: {why}")
}

/// Draws all of them. One of the group that lacks something of the command line (an INPUT, say) is left out too.
pub fn draw(chosen: Chosen, scene: &mut Scene, out: &Output) -> Outcome<Drawn> {
    let mut drawn = Drawn {
        left_out: chosen.left_out,
        ..Drawn::default()
    };
    for Asked { kind, named } in chosen.kinds {
        scene.bar.begin(kind.name.into());
        match (kind.draw)(scene) {
            Ok(section) => drawn.sections.push((kind.name, section)),
            Err(failure) if !named && failure.exit() == Exit::Usage => {
                drawn.left_out.push(left_out(kind.name, failure.cause()));
            }
            Err(failure) => return Err(failure),
        }
    }
    scene.bar.end();
    let notes = drawn.left_out.iter();
    notes.for_each(|why| out.note(format!("note: {why}")));
    Ok(drawn)
}

impl Drawn {
    /// Adds all sections to a page.
    pub fn onto(&self, report: &mut Report) {
        for (_, section) in &self.sections {
            report.section(&section.title);
            section.texts.iter().for_each(|text| {
                report.text(text);
            });
            for (svg, caption) in &section.figures {
                report.figure(svg, caption);
            }
        }
        self.left_out.iter().for_each(|why| {
            report.text(why);
        });
    }

    /// Says what was drawn.
    pub fn tell(&self, out: &Output) -> Outcome {
        let mut told = self.sections.iter();
        told.try_for_each(|(name, section)| out.line(format!("{name:<19}{}", section.told)))
    }

    /// The objects by the name of their kind.
    pub fn object(&self) -> Value {
        let objects = self
            .sections
            .iter()
            .map(|(name, section)| (name.to_string(), Value::Object(section.object.clone())));
        Value::Object(objects.collect())
    }
}

/// The page and the words where the network alone is shown.
pub fn finish(args: &Args, drawn: &Drawn, network: &Network, folder: &Folder, out: &Output) -> Outcome {
    let mut report = Report::new(format!("Explanation of {}", args.run.display()));
    report.subtitle(format!(
        "What {} looks for; made by graticule {}",
        network.model().name(),
        env!("CARGO_PKG_VERSION")
    ));
    drawn.onto(&mut report);
    report.write(folder.page())?;
    drawn.tell(out)?;
    out.line(format!("page {}", folder.page().display()))?;
    out.object(&serde_json::json!({
        "folder": folder.path(), "page": folder.page(), "network": drawn.object()
    }))
}
