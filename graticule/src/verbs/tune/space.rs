//! What `--over` names, and the values that are tried where it names none.

use train::Settings;
use train::tune::{Dimension, Domain, Space, Value};

use super::networks::{Family, SHAPE};
use crate::error::{Failure, Outcome};

/// What is known of the run that is varied.
pub struct Known<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// Its network.
    pub family: &'a Family,
    /// Training samples.
    pub samples: usize,
    /// Whether samples are images.
    pub image: bool,
}

/// How the values of a hyper-parameter are read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// A number; a range is searched by factors.
    Factor,
    /// A number; a range is searched evenly.
    Share,
    /// A count; a range is every count in it.
    Each,
    /// A count; a range is every power of two in it.
    Power,
    /// A word.
    Word,
}

const KINDS: [(&str, Kind); 16] = [
    ("lr", Kind::Factor),
    ("weight-decay", Kind::Factor),
    ("l1", Kind::Factor),
    ("l2", Kind::Factor),
    ("label-smoothing", Kind::Share),
    ("batch", Kind::Power),
    ("optimizer", Kind::Word),
    ("schedule", Kind::Word),
    ("augment", Kind::Word),
    ("clip", Kind::Word),
    ("loss", Kind::Word),
    ("model", Kind::Word),
    ("width", Kind::Power),
    ("depth", Kind::Each),
    ("dropout", Kind::Share),
    ("activation", Kind::Word),
];

/// The value that stands for "as without a search".
pub fn usual() -> Value {
    Value::Word("default".into())
}

/// The space that `over` names; what is usually worth a search where it names nothing.
pub fn space(over: &[String], known: &Known) -> Outcome<Space> {
    let searched: Vec<String> = match over.is_empty() {
        false => over.iter().map(|item| item.trim().to_string()).collect(),
        true => {
            let mut names = vec!["lr", "weight-decay", "batch"];
            if *known.family != Family::Fixed {
                names.extend(["width", "depth"]);
            }
            names.into_iter().map(String::from).collect()
        }
    };
    let dimensions: Outcome<Vec<Dimension>> = searched.iter().map(|item| dimension(item, known)).collect();
    let dimensions = dimensions?;
    for (place, dimension) in dimensions.iter().enumerate() {
        if dimensions[..place].iter().any(|d| d.name == dimension.name) {
            return Err(Failure::usage(format!("`{}` is named twice", dimension.name)).at("--over"));
        }
    }
    Ok(Space(dimensions))
}

/// One item of `--over`: a name, or a name with its values.
fn dimension(item: &str, known: &Known) -> Outcome<Dimension> {
    let wrong = |cause: String| Failure::usage(cause).at("--over");
    let (name, given) = item
        .split_once('=')
        .map_or((item, None), |(name, values)| (name, Some(values)));
    let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) else {
        let names = KINDS.map(|(name, _)| name);
        let near = nn::model::nearest(name, &names);
        let hint = near
            .first()
            .map_or(String::new(), |n| format!("; did you mean `{n}`?"));
        return Err(wrong(format!("`{name}` cannot be searched{hint}"))
            .help(format!("expected some of {}", names.join(", "))));
    };
    if SHAPE.contains(&name) && *known.family == Family::Fixed {
        return Err(
            wrong(format!("`{name}` cannot be searched where the network is given"))
                .help("leave --layers out, and --model too unless it is mlp or cnn-small"),
        );
    }
    if name == "augment" && !known.image {
        return Err(wrong("only images are augmented".into()));
    }
    let domain = match given {
        Some(values) => read(values, *kind).map_err(|cause| wrong(format!("`{item}`: {cause}")))?,
        None => default_domain(name, known)
            .ok_or_else(|| wrong(format!("`{name}` needs its values, such as {name}=A|B")))?,
    };
    let usual = usual_value(name, known).filter(|value| given.is_none() || contains(&domain, value));
    Ok(Dimension::new(name, domain, usual))
}

fn contains(domain: &Domain, value: &Value) -> bool {
    match (domain, value.as_f64()) {
        (Domain::Choice(values), _) => values.contains(value),
        (Domain::Logarithmic { low, high } | Domain::Linear { low, high }, Some(number)) => {
            (*low..=*high).contains(&number)
        }
        _ => false,
    }
}

/// `LOW..HIGH`, or values divided by `|`.
fn read(text: &str, kind: Kind) -> Result<Domain, String> {
    if let Some((low, high)) = text.split_once("..").filter(|_| kind != Kind::Word) {
        return range(low.trim(), high.trim(), kind);
    }
    let value = |word: &str| match kind {
        Kind::Word if !word.is_empty() => Ok(Value::Word(word.into())),
        Kind::Word => Err("a value is missing".to_string()),
        Kind::Each | Kind::Power => count(word).map(Value::Count),
        Kind::Factor | Kind::Share => number(word).map(Value::Number),
    };
    let values: Result<Vec<Value>, String> = text.split('|').map(|word| value(word.trim())).collect();
    values.map(Domain::Choice)
}

fn range(low: &str, high: &str, kind: Kind) -> Result<Domain, String> {
    let order = || format!("expected a lower and a higher value, found {low} and {high}");
    match kind {
        Kind::Factor | Kind::Share => {
            let (low, high) = (number(low)?, number(high)?);
            match (low < high, kind) {
                (false, _) => Err(order()),
                (true, Kind::Factor) if low <= 0.0 => Err("a range of factors begins above 0".into()),
                (true, Kind::Factor) => Ok(Domain::Logarithmic { low, high }),
                (true, _) => Ok(Domain::Linear { low, high }),
            }
        }
        _ => {
            let (low, high) = (count(low)?, count(high)?);
            if low >= high || high - low > 1_000_000 {
                return Err(order());
            }
            let fits = |n: &u64| kind == Kind::Each || n.is_power_of_two();
            let values: Vec<Value> = (low..=high).filter(fits).map(Value::Count).collect();
            match values.is_empty() {
                true => Err("there is no power of two in this range; give the values, divided by |".into()),
                false => Ok(Domain::Choice(values)),
            }
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("`{text}` is not a number from 0 on")),
    }
}

fn count(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(format!("`{text}` is not a whole number above 0")),
    }
}

fn counts(values: impl IntoIterator<Item = u64>) -> Domain {
    Domain::Choice(values.into_iter().map(Value::Count).collect())
}

fn numbers(values: &[f64]) -> Domain {
    Domain::Choice(values.iter().map(|&v| Value::Number(v)).collect())
}

fn words(values: &[&str]) -> Domain {
    Domain::Choice(values.iter().map(|v| Value::Word((*v).into())).collect())
}

fn default_domain(name: &str, known: &Known) -> Option<Domain> {
    let factor = |low: f64, high: f64| Domain::Logarithmic { low, high };
    let convolutions = matches!(known.family, Family::Convolutions { .. });
    Some(match name {
        "lr" => factor(
            known.settings.learning_rate / 30.0,
            known.settings.learning_rate * 30.0,
        ),
        "weight-decay" => factor(1e-5, 0.3),
        "l1" | "l2" => factor(1e-6, 1e-2),
        "label-smoothing" => numbers(&[0.0, 0.05, 0.1, 0.2]),
        "batch" => {
            let middle = known.settings.batch.max(1) as u64;
            let most = (known.samples as u64 / 8).max(1);
            let powers = (0..=16).map(|k| 1u64 << k);
            let near: Vec<u64> = powers
                .filter(|&n| n * 4 >= middle && n <= middle * 4 && n <= most)
                .collect();
            counts(if near.is_empty() { vec![middle] } else { near })
        }
        "optimizer" => words(&["momentum:0.9", "nesterov:0.9", "rmsprop", "adam", "adamw"]),
        "schedule" => words(&["constant", "cosine", "onecycle"]),
        "augment" => words(&["none", "default", "photo"]),
        "clip" => words(&["0.5", "1", "2", "5"]),
        "width" if convolutions => counts([8, 16, 32, 64]),
        "width" => counts([8, 16, 32, 64, 128, 256]),
        "depth" => match known.family {
            Family::Convolutions { most, .. } => counts(1..=*most as u64),
            _ => counts(1..=4),
        },
        "dropout" => numbers(&[0.0, 0.1, 0.2, 0.3, 0.5]),
        "activation" => words(&["relu", "leaky_relu", "elu", "tanh", "gelu", "silu"]),
        _ => return None,
    })
}

/// What the run does without a search.
fn usual_value(name: &str, known: &Known) -> Option<Value> {
    Some(match (name, known.family) {
        ("lr", _) => Value::Number(known.settings.learning_rate),
        ("weight-decay", _) => Value::Number(known.settings.optimizer.weight_decay),
        ("batch", _) => Value::Count(known.settings.batch as u64),
        ("width", Family::Convolutions { .. }) => Value::Count(32),
        ("depth", Family::Convolutions { usual, .. }) => Value::Count(*usual as u64),
        ("width", _) => Value::Count(64),
        ("depth", _) => Value::Count(2),
        ("activation", _) => Value::Word("relu".into()),
        ("dropout", Family::Convolutions { .. }) => Value::Number(0.2),
        ("dropout", _) => Value::Number(0.0),
        _ => usual(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(over: &[&str], family: &Family) -> Outcome<Space> {
        let settings = Settings::default();
        let known = Known {
            settings: &settings,
            family,
            samples: 1000,
            image: false,
        };
        space(&over.iter().map(|s| (*s).to_string()).collect::<Vec<_>>(), &known)
    }

    #[test]
    fn names_have_values_of_their_own_and_take_others() {
        let dense = Family::Dense { image: false };
        let names = |space: Space| space.0.into_iter().map(|d| d.name).collect::<Vec<_>>();
        let all = of(&[], &dense).unwrap();
        assert_eq!(names(all), ["lr", "weight-decay", "batch", "width", "depth"]);
        assert_eq!(
            names(of(&[], &Family::Fixed).unwrap()),
            ["lr", "weight-decay", "batch"]
        );
        let space = of(
            &[
                "lr=1e-4..1e-1",
                "batch=8..40",
                "depth=1..3",
                "activation=relu|tanh",
            ],
            &dense,
        );
        let domains: Vec<Domain> = space.unwrap().0.into_iter().map(|d| d.domain).collect();
        let (low, high) = (1e-4, 1e-1);
        assert_eq!(domains[0], Domain::Logarithmic { low, high });
        assert_eq!(domains[1], counts([8, 16, 32]));
        assert_eq!(domains[2], counts([1, 2, 3]));
        assert_eq!(domains[3], words(&["relu", "tanh"]));
        for (name, _) in KINDS
            .iter()
            .filter(|(n, _)| !["augment", "loss", "model"].contains(n))
        {
            assert!(of(&[name], &dense).unwrap().sample(4, 1).is_ok(), "{name}");
        }
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        let told = |item: &str, family| of(&[item], &family).unwrap_err().to_string();
        let dense = || Family::Dense { image: false };
        assert!(told("widht", dense()).contains("did you mean `width`"));
        assert!(told("model", dense()).contains("model=A|B"));
        assert!(told("width", Family::Fixed).contains("network is given"));
        assert!(told("lr=0..1", dense()).contains("above 0"));
        assert!(told("lr=a..1", dense()).contains("`a`"));
        assert!(told("depth=4..1", dense()).contains("lower"));
        assert!(told("width=33..50", dense()).contains("power of two"));
        assert!(told("augment", dense()).contains("images"));
        assert!(
            of(&["lr", "lr"], &dense())
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
    }
}
