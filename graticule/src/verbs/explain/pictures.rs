//! Explanations of pictures: the methods one after another on a few pictures at a time, files as they come.

use explain::{Curves, Explanation, Faithfulness, Method, Subject, Target, faithfulness, random_map};
use ndarray::{Array3, ArrayD, Axis, s};
use report::figures::overlay_png;
use serde_json::{Map, Value, json};
use train::Network;

use super::folder::Folder;
use super::methods::Chosen;
use super::network::Drawn;
use super::page::{Page, Panel, Shown};
use super::progress::Bar;
use super::samples::Pictures;
use super::{Args, output_name};
use crate::error::{Failure, Outcome};
use crate::explaining::{batch, map_of, overlay, picture, subject};
use crate::output::Output;
use crate::text::{number, percent};

/// Pictures that are read and explained together.
const TOGETHER: usize = 16;

/// Explains all pictures, writes their files and the page, and says so.
pub fn explain(
    args: &Args,
    network: &mut Network,
    target: &Target,
    chosen: Chosen,
    samples: Pictures,
    (folder, drawn): (&Folder, &Drawn),
    out: &Output,
) -> Outcome {
    chosen
        .left_out
        .iter()
        .for_each(|why| out.note(format!("note: {why}")));
    let bar = Bar::new(out);
    let mut subject = subject(network)?.seed(args.methods.seed);
    let ticks = bar.clone();
    subject.on_progress(Box::new(move |done, all| ticks.at(done, all)));
    let mut work = Work {
        args,
        network,
        subject,
        target,
        chosen: &chosen,
        folder,
        page: Page::new(&args.methods, &chosen),
        told: Vec::new(),
    };
    for first in (0..samples.len()).step_by(TOGETHER) {
        let these = first..samples.len().min(first + TOGETHER);
        let Some(group) = work.read(&samples, these, out)? else {
            continue;
        };
        work.explain(&group, &bar, samples.len())?;
    }
    bar.end();
    if work.told.is_empty() {
        return Err(Failure::new("no picture could be read"));
    }
    let Work { page, told, .. } = work;
    page.write(args, network, drawn, folder)?;
    for line in told.iter().flat_map(|t| &t.lines) {
        out.line(line)?;
    }
    drawn.tell(out)?;
    out.line(format!("page {}", folder.page().display()))?;
    let objects: Vec<Value> = told.into_iter().map(|t| t.object).collect();
    out.object(&json!({
        "folder": folder.path(), "page": folder.page(), "inputs": objects, "network": drawn.object()
    }))
}

/// Pictures that are explained together.
struct Group {
    names: Vec<String>,
    stems: Vec<String>,
    inputs: ArrayD<f32>,
    pictures: Vec<Array3<u8>>,
    /// What the network says: all classes, or numbers in the units of the data.
    answers: Vec<Vec<f32>>,
}

/// What is told of one picture.
struct Told {
    lines: Vec<String>,
    object: Value,
}

struct Work<'a> {
    args: &'a Args,
    network: &'a mut Network,
    subject: Subject,
    target: &'a Target,
    chosen: &'a Chosen,
    folder: &'a Folder,
    page: Page,
    told: Vec<Told>,
}

impl Work<'_> {
    fn read(
        &mut self,
        samples: &Pictures,
        these: std::ops::Range<usize>,
        out: &Output,
    ) -> Outcome<Option<Group>> {
        let (mut names, mut encoded) = (Vec::new(), Vec::new());
        for k in these {
            let read = samples
                .read(self.network, k)
                .and_then(|raw| self.network.preprocess().encode(&raw));
            match read {
                Ok(numbers) => {
                    names.push(samples.name(k));
                    encoded.extend(numbers);
                }
                Err(error) if self.args.skip_bad => out.note(format!("left out: {error}")),
                Err(error) => return Err(Failure::not_skipped(error)),
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        let width = self.network.task().outputs().max(1);
        let said = self.network.infer(&encoded, names.len())?.predictions;
        let inputs = batch(self.network, encoded)?;
        Ok(Some(Group {
            stems: names.iter().map(|name| self.folder.stem(name)).collect(),
            pictures: (0..names.len())
                .map(|k| picture(self.network, &inputs, k))
                .collect(),
            answers: said.chunks(width).map(<[f32]>::to_vec).collect(),
            inputs,
            names,
        }))
    }

    fn explain(&mut self, group: &Group, bar: &Bar, all: usize) -> Outcome {
        let mut told: Vec<(Vec<String>, Map<String, Value>)> = vec![Default::default(); group.names.len()];
        let mut panels: Vec<Vec<Panel>> = vec![Vec::new(); group.names.len()];
        let mut outputs = Vec::new();
        for method in &self.chosen.methods {
            bar.begin(format!(
                "{} of {} of {all} pictures",
                method.name(),
                group.names.len()
            ));
            let found = explain::explain(&mut self.subject, &group.inputs, self.target, method)?;
            let curves = self.curves(group, &found)?;
            for k in 0..group.names.len() {
                let mut files = self.write(group, &found, k)?;
                if let Some(curves) = &curves {
                    files.insert("deletion".into(), json!(curves[k].deletion_area()));
                    files.insert("insertion".into(), json!(curves[k].insertion_area()));
                }
                told[k]
                    .0
                    .push(format!("  {:<17}{}", method.name(), fact(&found, k)));
                told[k].1.insert(method.name().into(), Value::Object(files));
                if self.page.has_room() {
                    panels[k].push(Panel::of(&group.pictures[k], &found, k, fact(&found, k))?);
                }
            }
            if let Some(note) = &found.note {
                self.page.note(method.name(), note);
            }
            outputs = found.outputs;
        }
        let base = if self.args.methods.no_curves {
            None
        } else {
            Some(self.random_curves(group)?)
        };
        for (k, ((lines, methods), panels)) in told.into_iter().zip(panels).enumerate() {
            let explained = outputs[k];
            let (name, said) = (&group.names[k], self.said(&group.answers[k], explained));
            self.page.add(Shown {
                name: name.clone(),
                said: said.clone(),
                picture: group.pictures[k].clone(),
                panels,
            })?;
            let mut object = json!({
                "input": name,
                "explained": output_name(self.network, explained),
                "said": group.answers[k].get(explained),
                "methods": methods,
            });
            if let Some(base) = &base {
                object["random"] =
                    json!({ "deletion": base[k].deletion_area(), "insertion": base[k].insertion_area() });
            }
            let lines = std::iter::once(format!("{name}  {said}")).chain(lines).collect();
            self.told.push(Told { lines, object });
        }
        Ok(())
    }

    /// The deletion and insertion curves of a method's maps.
    fn curves(&mut self, group: &Group, found: &Explanation) -> Outcome<Option<Vec<Curves>>> {
        if self.args.methods.no_curves {
            return Ok(None);
        }
        let curves = self.measure(group, &found.map)?;
        self.page.curves(found.method.name(), &curves);
        Ok(Some(curves))
    }

    fn random_curves(&mut self, group: &Group) -> Outcome<Vec<Curves>> {
        let shape = &group.inputs.shape()[..3];
        let maps = random_map(&ArrayD::zeros(shape), self.args.methods.seed);
        let curves = self.measure(group, &maps)?;
        self.page.curves(super::page::RANDOM, &curves);
        Ok(curves)
    }

    fn measure(&mut self, group: &Group, maps: &ArrayD<f32>) -> Outcome<Vec<Curves>> {
        let settings = Faithfulness {
            fill: self.chosen.fill.clone(),
            ..Faithfulness::default()
        };
        Ok(faithfulness(
            &mut self.subject,
            &group.inputs,
            self.target,
            maps,
            &settings,
        )?)
    }

    /// Writes the files of sample `k`; gives back their names and numbers.
    fn write(&self, group: &Group, found: &Explanation, k: usize) -> Outcome<Map<String, Value>> {
        let base = format!("{}.{}", group.stems[k], found.method.name());
        let map = map_of(&found.map, k);
        let over = overlay("", &group.pictures[k], map.view(), found.method.signed());
        let mut files = Map::new();
        let mut add = |name: &str, file: String| files.insert(name.into(), json!(file));
        add(
            "picture",
            self.folder.write(format!("{base}.png"), &overlay_png(&over)?)?,
        );
        add(
            "map",
            self.folder
                .write_array(format!("{base}.npy"), found.map.index_axis(Axis(0), k))?,
        );
        if let Some(all) = &found.attributions {
            add(
                "bands",
                self.folder
                    .write_array(format!("{base}.bands.npy"), all.index_axis(Axis(0), k))?,
            );
        }
        if let Some(hidden) = &found.hidden {
            let field = hidden.slice(s![k, .., ..]).into_dyn();
            add(
                "hidden",
                self.folder.write_array(format!("{base}.hidden.npy"), field)?,
            );
        }
        if let Some(complete) = found.completeness.as_ref().and_then(|all| all.get(k)) {
            files.insert("sum".into(), json!(complete.sum));
            files.insert("difference".into(), json!(complete.difference));
        }
        files.insert("layer".into(), json!(found.layer));
        Ok(files)
    }

    /// What the network says of the output that is explained: `forest 98.20 %`.
    fn said(&self, answers: &[f32], explained: usize) -> String {
        let value = f64::from(answers.get(explained).copied().unwrap_or(f32::NAN));
        let told = match self.network.task().classes() {
            Some(_) => percent(value),
            None => number(value),
        };
        format!("{} {told}", output_name(self.network, explained))
    }
}

/// What one explanation says in a line.
fn fact(found: &Explanation, k: usize) -> String {
    let share = |value: f32| format!("{value:.4}");
    match &found.method {
        Method::Occlusion(_) => {
            let Some(hidden) = &found.hidden else {
                return String::new();
            };
            let field = hidden.slice(s![k, .., ..]);
            let (place, least) =
                field.indexed_iter().fold(
                    ((0, 0), f32::INFINITY),
                    |best, (at, &p)| if p < best.1 { (at, p) } else { best },
                );
            format!(
                "{} → {} with the mask at row {}, column {} of its {} × {} places",
                share(found.predictions[k]),
                share(least),
                place.0 + 1,
                place.1 + 1,
                field.nrows(),
                field.ncols()
            )
        }
        Method::IntegratedGradients(_) => {
            let complete = found.completeness.as_ref().and_then(|all| all.get(k));
            complete.map_or(String::new(), |c| {
                format!(
                    "the shares sum to {}, the score differs by {}",
                    number(c.sum),
                    number(c.difference)
                )
            })
        }
        _ => {
            let map = map_of(&found.map, k);
            let (place, most) = map
                .indexed_iter()
                .fold(((0, 0), f32::NEG_INFINITY), |best, (at, &v)| {
                    if v > best.1 { (at, v) } else { best }
                });
            let layer = found
                .layer
                .as_ref()
                .map_or(String::new(), |layer| format!("layer {layer}, "));
            format!(
                "{layer}most at row {}, column {}: {}",
                place.0,
                place.1,
                number(f64::from(most))
            )
        }
    }
}
