//! The one page of an explanation of pictures.

use explain::{Curves, Explanation, Method};
use ndarray::{Array3, s};
use report::colour::ColourMap;
use report::figures::{Heatmap, LineChart, Series, Tile, gallery, heatmap, line_chart, overlay as figure};
use report::html::Report;
use train::Network;

use super::Args;
use super::folder::Folder;
use super::methods::{Chosen, MethodArgs};
use super::network::Drawn;
use crate::error::Outcome;
use crate::explaining::{map_of, overlay};

/// The name of the order that says nothing.
pub const RANDOM: &str = "random order";
/// Most pictures on the page; the others have their files.
const MOST: usize = 24;

/// A method's picture on the page.
#[derive(Clone)]
pub struct Panel {
    /// The figures with their captions.
    figures: Vec<(String, String)>,
}

/// An input on the page.
pub struct Shown {
    pub name: String,
    pub said: String,
    pub picture: Array3<u8>,
    pub panels: Vec<Panel>,
}

/// What is gathered for the page.
pub struct Page {
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    shown: Vec<Shown>,
    inputs: usize,
    /// Sums of the curves of each method, and how many.
    sums: Vec<(String, Vec<f64>, Vec<f64>, usize)>,
}

impl Panel {
    /// The figures of sample `k`.
    pub fn of(picture: &Array3<u8>, found: &Explanation, k: usize, fact: String) -> Outcome<Self> {
        let map = map_of(&found.map, k);
        let over = overlay(found.method.name(), picture, map.view(), found.method.signed());
        let mut figures = vec![(figure(&over)?, fact)];
        if let Some(hidden) = &found.hidden {
            let field = Heatmap {
                title: "said with the mask there".into(),
                values: hidden.slice(s![k, .., ..]).mapv(f64::from),
                map: ColourMap::Viridis,
                ..Heatmap::default()
            };
            let said = found.predictions[k];
            let caption = format!(
                "What the network says with the mask at each of its places; without it {said:.4} (E1)."
            );
            figures.push((heatmap(&field)?, caption));
        }
        Ok(Self { figures })
    }
}

impl Page {
    /// An empty page for these methods.
    pub fn new(args: &MethodArgs, chosen: &Chosen) -> Self {
        let row = |method: &Method| {
            vec![
                method.name().to_string(),
                args.told(method),
                meaning(method).to_string(),
            ]
        };
        Self {
            rows: chosen.methods.iter().map(row).collect(),
            notes: chosen.left_out.clone(),
            shown: Vec::new(),
            inputs: 0,
            sums: Vec::new(),
        }
    }

    /// Whether more pictures come onto the page.
    pub fn has_room(&self) -> bool {
        self.shown.len() < MOST
    }

    /// What a reader should know of a method, once.
    pub fn note(&mut self, method: &str, note: &str) {
        let note = format!("{method}: {note}.");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds an input.
    pub fn add(&mut self, shown: Shown) -> Outcome {
        self.inputs += 1;
        if self.has_room() {
            self.shown.push(shown);
        }
        Ok(())
    }

    /// Adds the curves of some inputs to a method's mean.
    pub fn curves(&mut self, method: &str, curves: &[Curves]) {
        let place = self.sums.iter().position(|(name, ..)| name == method);
        let place = place.unwrap_or_else(|| {
            let points = curves.first().map_or(0, |c| c.deletion.len());
            self.sums
                .push((method.into(), vec![0.0; points], vec![0.0; points], 0));
            self.sums.len() - 1
        });
        let (_, deletion, insertion, count) = &mut self.sums[place];
        for of in curves {
            deletion
                .iter_mut()
                .zip(&of.deletion)
                .for_each(|(sum, &p)| *sum += f64::from(p));
            insertion
                .iter_mut()
                .zip(&of.insertion)
                .for_each(|(sum, &p)| *sum += f64::from(p));
            *count += 1;
        }
    }

    /// Writes the page.
    pub fn write(&self, args: &Args, network: &Network, drawn: &Drawn, folder: &Folder) -> Outcome {
        let mut report = Report::new(format!("Explanation of {}", args.run.display()));
        report.subtitle(format!(
            "What matters for what {} says; made by graticule {}",
            network.model().name(),
            env!("CARGO_PKG_VERSION")
        ));
        if self.shown.len() < self.inputs {
            report.text(&format!(
                "The first {} of {} pictures; all have their files beside this page.",
                self.shown.len(),
                self.inputs
            ));
        }
        for shown in &self.shown {
            report.section(&format!("{}: {}", shown.name, shown.said));
            report.figure(&gallery("input", &[Tile::new(shown.picture.clone(), "")])?, "");
            for (svg, caption) in shown.panels.iter().flat_map(|panel| &panel.figures) {
                report.figure(svg, caption);
            }
        }
        self.faithfulness(&mut report);
        report.section("Methods");
        report.table(&["method", "settings", "the map"], &self.rows);
        self.notes.iter().for_each(|note| {
            report.text(note);
        });
        report.text(
            "Colours: dark violet to yellow from little to much; where a map has two sides, blue speaks for and orange \
             against. On the picture a colour is the stronger, the further its value is from the rest. One pixel in \
             two hundred may lie beyond the scale.",
        );
        drawn.onto(&mut report);
        report.write(folder.page())?;
        Ok(())
    }

    fn faithfulness(&self, report: &mut Report) {
        if self.sums.is_empty() {
            return;
        }
        report.section("How faithful the maps are");
        report.text(
            "Deletion takes pixels away in the order of a map, the most important first; a map that names what the network \
             uses makes it fall at once. Insertion brings them back onto an empty picture, and the network should be sure \
             again soon. The areas below the curves sum it up: small for deletion, large for insertion. A random order is \
             what any map must beat, by the difference of the two at least: single pixels missing all over a picture may \
             confuse a network of textures more than a whole object missing.",
        );
        let rows: Vec<Vec<String>> = self.sums.iter().map(areas).collect();
        report.table(
            &[
                "order of the pixels",
                "deletion",
                "insertion",
                "insertion − deletion",
            ],
            &rows,
        );
        for (title, inserted) in [("Deletion", false), ("Insertion", true)] {
            let series = self.sums.iter().map(|(name, deletion, insertion, count)| {
                let sums = if inserted { insertion } else { deletion };
                let last = (sums.len() - 1).max(1) as f64;
                let points = sums
                    .iter()
                    .enumerate()
                    .map(|(k, sum)| (k as f64 / last, sum / *count as f64));
                let series = Series::new(name.as_str(), points.collect());
                if name == RANDOM { series.dashed() } else { series }
            });
            let chart = LineChart {
                title: title.into(),
                x_label: format!(
                    "share of the pixels {}",
                    if inserted { "there" } else { "missing" }
                ),
                y_label: "mean of what the network says".into(),
                series: series.collect(),
                ..LineChart::default()
            };
            report.figure(&line_chart(&chart), "");
        }
    }
}

fn areas((name, deletion, insertion, count): &(String, Vec<f64>, Vec<f64>, usize)) -> Vec<String> {
    let area = |sums: &[f64]| {
        let trapezoids: f64 = sums.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum();
        trapezoids / (sums.len() - 1).max(1) as f64 / *count as f64
    };
    let (deletion, insertion) = (area(deletion), area(insertion));
    let numbers = [deletion, insertion, insertion - deletion].map(|area| format!("{area:.4}"));
    std::iter::once(name.clone()).chain(numbers).collect()
}

/// What a method's numbers are.
fn meaning(method: &Method) -> &'static str {
    match method {
        Method::Occlusion(_) => "fall of what the network says when the pixel is hidden",
        Method::Gradient => "|∂ score / ∂ pixel|, the largest of the bands",
        Method::GradientTimesInput => "pixel · ∂ score / ∂ pixel, sum of the bands",
        Method::SmoothGrad(_) => "|mean gradient over noisy copies|, the largest of the bands",
        Method::IntegratedGradients(_) => {
            "the pixel's share of the score's difference to the baseline, sum of the bands"
        }
        Method::GuidedBackprop => "guided back-propagation, the largest magnitude of the bands",
        Method::Deconvnet => "signal of the deconvnet, the largest magnitude of the bands",
        Method::GradCam(_) => "feature maps weighted by their mean gradient",
        Method::Rise(_) => "mean of what the network says over random masks that show the pixel",
    }
}
