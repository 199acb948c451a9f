//! `embedding`: where samples lie in the space of the last hidden features, in the plane (row L15).

use data::{Target, Task};
use explain::feature_space;
use explain::seen::{Pca, Tsne, chance, neighbour_r2, pca, purity, tsne};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use report::figures::{Cloud, Colouring, cloud};
use serde_json::{Map, Value, json};
use train::argmax;

use super::stream::{Stream, asked};
use super::{Scene, Section};
use crate::error::{Failure, Outcome};
use crate::text::{number, percent, thousands};

/// Samples if nothing else is said, and most of them: time and memory grow with their square.
const SAMPLES: usize = 1000;
const MOST: usize = 5000;
/// Neighbours of a sample.
const NEIGHBOURS: usize = 10;

/// The samples with what the network makes of them.
struct Seen {
    names: Vec<String>,
    features: Array2<f64>,
    labels: Labels,
}

/// What colours stand for.
enum Labels {
    /// Names of classes, what is true (if known) and what the network says.
    Classes(Vec<String>, Option<Vec<usize>>, Vec<usize>),
    /// The name of a number, what is true (if known) and what the network says.
    Values(String, Option<Vec<f64>>, Vec<f64>),
}

/// Draws it.
pub fn draw(scene: &mut Scene) -> Outcome<Section> {
    let wanted = scene.args.samples(SAMPLES);
    if wanted > MOST {
        let cause = format!("{} samples", thousands(wanted));
        return Err(Failure::usage(cause).at("--samples").help(format!(
            "at most {}: time grows with their square",
            thousands(MOST)
        )));
    }
    let samples = Stream::new(scene, wanted)?;
    let seen = look(scene, &samples)?;
    let n = seen.names.len();
    if n < 2 {
        return Err(Failure::new("found 1 sample; an embedding needs 2 at least").help("give more samples"));
    }
    scene
        .bar
        .begin(format!("components of {} features", seen.features.ncols()));
    let components = pca(seen.features.view(), 2)?;
    scene.bar.begin(format!("t-SNE of {} samples", thousands(n)));
    let settings = Tsne {
        perplexity: scene.args.methods.perplexity,
        threads: scene.network.engine().threads(),
        ..Tsne::default()
    };
    let mut notes = samples.left_out.clone();
    let mapped = match n < 4 || components.total <= 0.0 {
        true => None,
        false => Some(tsne(seen.features.view(), &settings, &mut |done, all| {
            scene.bar.at(done, all)
        })?),
    };
    if components.total <= 0.0 {
        notes.push(
            "The features of all samples are the same: the network makes no difference between them.".into(),
        );
    } else if mapped.is_none() {
        notes.push("t-SNE is left out: it needs four samples at least.".into());
    }
    let mut section = Section {
        title: "Samples in the plane of the features".into(),
        told: seen.told(&components),
        ..Section::default()
    };
    let mut object = Map::new();
    let [first, second] = [0, 1].map(|k| percent(components.shares()[k]));
    let places = &components.places;
    let mut planes = vec![(
        "pca",
        "Principal components",
        format!("{first} and {second} of the variance"),
        places,
    )];
    if let Some(found) = &mapped {
        let note = format!(
            "perplexity {}, KL divergence {:.3}",
            number(found.perplexity),
            found.divergence()
        );
        object.insert("perplexity".into(), json!(found.perplexity));
        object.insert("kl_divergence".into(), json!(found.divergence()));
        planes.push(("tsne", "t-SNE", note, &found.places));
    }
    section.texts = vec![seen.explained(), seen.measured(&planes, &mut object)];
    section.texts.extend(notes);
    let mut rows = vec![seen.names.clone()];
    for (name, title, note, places) in &planes {
        let figure = cloud(&seen.cloud(title, note, places.view(), name))?;
        object.insert(
            format!("{name}_picture"),
            json!(
                scene
                    .folder
                    .write(format!("embedding.{name}.svg"), figure.as_bytes())?
            ),
        );
        let array = places.mapv(|v| v as f32);
        object.insert(
            (*name).into(),
            json!(
                scene
                    .folder
                    .write_array(format!("embedding.{name}.npy"), array.view().into_dyn())?
            ),
        );
        section.figures.push((figure, String::new()));
        for axis in 0..2 {
            rows.push(places.column(axis).iter().map(|v| format!("{v:.6}")).collect());
        }
    }
    let features = seen.features.mapv(|v| v as f32);
    object.insert(
        "features".into(),
        json!(
            scene
                .folder
                .write_array("embedding.features.npy".into(), features.view().into_dyn())?
        ),
    );
    let header = planes
        .iter()
        .flat_map(|(name, ..)| [format!("{name}_1"), format!("{name}_2")]);
    let table = seen.table(header.collect(), rows)?;
    object.insert("samples".into(), json!(n));
    object.insert(
        "table".into(),
        json!(scene.folder.write("embedding.csv".into(), &table)?),
    );
    object.insert("variance".into(), json!(components.shares()));
    section.object = object;
    Ok(section)
}

/// The features and answers of all samples.
fn look(scene: &mut Scene, samples: &Stream) -> Outcome<Seen> {
    let mut subject = asked(scene)?;
    let task = scene.network.task().clone();
    let outputs = task.outputs().max(1);
    let output = scene.args.target.as_deref();
    let which = match (&task, output) {
        (Task::Regression { .. }, Some(name)) => super::super::output_index(scene.network, name, "--target")?,
        _ => 0,
    };
    let (mut features, mut said) = (Vec::new(), Vec::new());
    for part in samples.parts(scene.network) {
        let inputs = samples.read(scene.network, part.clone())?;
        let rows = feature_space(&mut subject, &inputs)?.features.mapv(f64::from);
        features.push(rows);
        let encoded: Vec<f32> = inputs.iter().copied().collect();
        said.extend(scene.network.infer(&encoded, part.len())?.predictions);
        scene.bar.at(part.end, samples.len());
    }
    let views: Vec<ArrayView2<f64>> = features.iter().map(|part| part.view()).collect();
    let truth: Vec<Option<Target>> = (0..samples.len())
        .map(|k| samples.truth(k))
        .collect::<Outcome<_>>()?;
    let labels = match task {
        Task::Classification { classes } => {
            let of = |target: &Option<Target>| match target {
                Some(Target::Class(class)) => Some(*class),
                _ => None,
            };
            let answers = said.chunks(outputs).map(argmax).collect();
            Labels::Classes(classes, truth.iter().map(of).collect(), answers)
        }
        Task::Regression { targets } => {
            let of = |target: &Option<Target>| match target {
                Some(Target::Values(values)) => values.get(which).map(|&v| f64::from(v)),
                _ => None,
            };
            let answers = said.chunks(outputs).map(|row| f64::from(row[which])).collect();
            Labels::Values(targets[which].clone(), truth.iter().map(of).collect(), answers)
        }
        Task::MultiLabel { .. } => {
            return Err(Failure::new(
                "an embedding has one colour for each sample, and this network says several labels at once",
            ));
        }
    };
    Ok(Seen {
        names: (0..samples.len()).map(|k| samples.name(k)).collect(),
        features: concatenate(Axis(0), &views)?,
        labels,
    })
}

impl Seen {
    /// The class of each sample: the true one where it is known.
    fn classes(&self) -> Option<&[usize]> {
        match &self.labels {
            Labels::Classes(_, truth, said) => Some(truth.as_ref().unwrap_or(said)),
            Labels::Values(..) => None,
        }
    }

    fn wrong(&self) -> Vec<bool> {
        match &self.labels {
            Labels::Classes(_, Some(truth), said) => truth.iter().zip(said).map(|(t, s)| t != s).collect(),
            _ => Vec::new(),
        }
    }

    fn told(&self, components: &Pca) -> String {
        let share = components.shares().iter().sum::<f64>();
        format!(
            "{} samples, {} features, {} of their variance in the plane",
            thousands(self.names.len()),
            self.features.ncols(),
            percent(share)
        )
    }

    fn explained(&self) -> String {
        let colours = match &self.labels {
            Labels::Classes(_, Some(_), _) => {
                "Colours are the true classes; a ring marks a sample that the network takes for another."
            }
            Labels::Classes(_, None, _) => {
                "Colours are the classes that the network says; the true ones are not known."
            }
            Labels::Values(_, Some(_), _) => "Colours are the true values.",
            Labels::Values(_, None, _) => {
                "Colours are the values that the network says; the true ones are not known."
            }
        };
        format!(
            "The {} numbers that the last layer reads are what the network found to decide by. The principal components are the plane in which \
             they vary most, in true proportion; t-SNE keeps who is whose neighbour, and its distances between groups, their \
             sizes and their shapes say nothing. {colours}",
            self.features.ncols()
        )
    }

    /// What neighbours tell, for people and programs.
    fn measured(
        &self,
        planes: &[(&str, &str, String, &Array2<f64>)],
        object: &mut Map<String, Value>,
    ) -> String {
        let views = std::iter::once(("features", "all features", self.features.view())).chain(
            planes
                .iter()
                .map(|(name, title, _, places)| (*name, *title, places.view())),
        );
        let k = NEIGHBOURS.min(self.names.len() - 1);
        let mut told = Vec::new();
        let mut numbers = Map::new();
        let lead = match (&self.labels, self.classes()) {
            (_, Some(classes)) => {
                for (name, title, view) in views {
                    let found = purity(view, classes, k);
                    numbers.insert(name.into(), json!(found));
                    told.push(format!("{} in {title}", percent(found)));
                }
                let by_chance = chance(classes);
                numbers.insert("chance".into(), json!(by_chance));
                object.insert("neighbour_purity".into(), Value::Object(numbers));
                let wrong = self.wrong();
                if !wrong.is_empty() {
                    object.insert("wrong".into(), json!(wrong.iter().filter(|&&w| w).count()));
                }
                if classes.iter().all(|class| *class == classes[0]) {
                    return "All samples are of one class, so the classes of neighbours tell nothing.".into();
                }
                format!(
                    "Share of a sample's {k} nearest neighbours that are of its class ({} by chance): ",
                    percent(by_chance)
                )
            }
            (Labels::Values(name, truth, said), None) => {
                for (key, title, view) in views {
                    let found = neighbour_r2(view, truth.as_ref().unwrap_or(said), k);
                    numbers.insert(key.into(), json!(found));
                    told.push(format!(
                        "{} in {title}",
                        found.map_or("nothing".into(), |r| format!("{r:.3}"))
                    ));
                }
                object.insert("neighbour_r2".into(), Value::Object(numbers));
                format!(
                    "Share of the variance of {name} that the mean of a sample's {k} nearest neighbours tells (R²): "
                )
            }
            _ => String::new(),
        };
        format!("{lead}{}.", told.join(", "))
    }

    fn cloud(&self, title: &str, note: &str, places: ArrayView2<f64>, name: &str) -> Cloud {
        let colouring = match &self.labels {
            Labels::Classes(names, truth, said) => {
                Colouring::Classes(names.clone(), truth.as_ref().unwrap_or(said).clone())
            }
            Labels::Values(name, truth, said) => {
                Colouring::Values(name.clone(), truth.as_ref().unwrap_or(said).clone())
            }
        };
        let axes = match name {
            "pca" => ["first component", "second component"],
            _ => ["", ""],
        };
        Cloud {
            title: title.into(),
            note: note.into(),
            x_label: axes[0].into(),
            y_label: axes[1].into(),
            points: places.rows().into_iter().map(|row| (row[0], row[1])).collect(),
            colouring,
            marked: self.wrong(),
            mark_label: "wrong".into(),
        }
    }

    /// A table of all samples, as CSV.
    fn table(&self, planes: Vec<String>, columns: Vec<Vec<String>>) -> Outcome<Vec<u8>> {
        let (truth, said): (Vec<String>, Vec<String>) = match &self.labels {
            Labels::Classes(names, truth, said) => {
                let name = |k: &usize| names.get(*k).cloned().unwrap_or_default();
                let truth = truth.as_ref().map(|t| t.iter().map(name).collect());
                (truth.unwrap_or_default(), said.iter().map(name).collect())
            }
            Labels::Values(_, truth, said) => {
                let truth = truth.as_ref().map(|t| t.iter().map(f64::to_string).collect());
                (
                    truth.unwrap_or_default(),
                    said.iter().map(f64::to_string).collect(),
                )
            }
        };
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = ["sample", "true", "predicted"].map(String::from);
        writer.write_record(header.iter().chain(&planes))?;
        for k in 0..self.names.len() {
            let known = [
                columns[0][k].clone(),
                truth.get(k).cloned().unwrap_or_default(),
                said[k].clone(),
            ];
            let places = columns[1..].iter().map(|column| column[k].clone());
            writer.write_record(known.into_iter().chain(places))?;
        }
        writer.into_inner().map_err(|e| Failure::new(e.to_string()))
    }
}
