//! What other programs call the parameters of the named networks.
//!
//! Ours are torchvision's names where torchvision has the network. Each *dialect* turns them into those of another
//! source; the one that finds most tensors in a file is taken. No tensor is ever matched by its place or shape.

use std::collections::HashMap;

/// Stands before all names when a network was wrapped before it was saved.
const WRAPPERS: [&str; 5] = ["module.", "_orig_mod.", "model.", "network.", "net."];

/// Ours, then theirs.
type Rewrite = &'static [(&'static str, &'static str)];

/// DenseNets of torchvision's published files.
const OLD_DENSENET: Rewrite = &[
    (".norm1.", ".norm.1."),
    (".norm2.", ".norm.2."),
    (".conv1.", ".conv.1."),
    (".conv2.", ".conv.2."),
];
/// Vision transformers before torchvision 0.14.
const OLD_VIT: Rewrite = &[(".mlp.0.", ".mlp.linear_1."), (".mlp.3.", ".mlp.linear_2.")];
/// Small residual networks with shortcuts by convolution.
const SHORTCUT: Rewrite = &[(".downsample.", ".shortcut.")];

/// Names that say nothing a network needs.
pub(crate) fn is_idle(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last == "num_batches_tracked" || is_auxiliary(name)
}

/// Names in a head that serves training alone.
pub(crate) fn is_auxiliary(name: &str) -> bool {
    ["AuxLogits.", "aux1.", "aux2."]
        .iter()
        .any(|head| name.starts_with(head))
}

/// The names without what stands before every one of them.
pub(crate) fn unwrapped<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    while let Some(prefix) = WRAPPERS
        .into_iter()
        .find(|prefix| !names.is_empty() && names.iter().all(|name| name.starts_with(prefix)))
    {
        names = names.iter().map(|name| &name[prefix.len()..]).collect();
    }
    names
}

/// Our names in each dialect that knows these parameters, our own first.
pub(crate) fn dialects(ours: &[&str]) -> Vec<Vec<String>> {
    let mut dialects = vec![ours.iter().map(ToString::to_string).collect()];
    dialects.extend([OLD_DENSENET, OLD_VIT, SHORTCUT].map(|rewrite| rewritten(ours, rewrite)));
    if let Some(blocks) = Blocks::of(ours) {
        for dialect in [Blocks::keras_like, Blocks::timm] {
            let name = |name: &&str| dialect(&blocks, name).unwrap_or_else(|| name.to_string());
            dialects.push(ours.iter().map(name).collect());
        }
    }
    dialects
}

fn rewritten(ours: &[&str], rewrite: Rewrite) -> Vec<String> {
    let one = |name: &&str| {
        let mut name = name.to_string();
        for (ours, theirs) in rewrite {
            name = name.replace(ours, theirs);
        }
        name
    };
    ours.iter().map(one).collect()
}

/// The blocks of an EfficientNet: `features.STAGE.BLOCK.block.STEP.…`.
struct Blocks {
    /// Each block's number from the first on, and its last step.
    known: HashMap<(usize, usize), (usize, usize)>,
    /// The stage of the last convolution.
    last: usize,
    /// Whether channels are weighed by squeeze and excitation.
    squeezed: bool,
}

/// Where in an EfficientNet a parameter stands.
enum Part<'a> {
    /// In the first or the last convolution and its norm.
    Outer { last: bool, rest: &'a str },
    /// In a step of a block.
    Step {
        stage: usize,
        block: usize,
        step: usize,
        rest: &'a str,
    },
    /// In the dense layer.
    Head(&'a str),
}

/// A step of a block by what it does.
enum Does {
    Widen,
    Filter,
    Weigh,
    Narrow,
}

/// What a dialect calls the layers outside the blocks: convolution and norm, at the input and behind the blocks, and the
/// dense layer.
struct OuterNames {
    first: [&'static str; 2],
    last: [&'static str; 2],
    head: &'static str,
}

/// A layer inside a block.
struct Layer<'a> {
    /// The block's, from the first on.
    number: usize,
    stage: usize,
    block: usize,
    /// Whether the block begins with a convolution that widens.
    widens: bool,
    does: Does,
    /// Its name in the step.
    inner: &'a str,
}

impl Blocks {
    fn of(ours: &[&str]) -> Option<Self> {
        let mut known: HashMap<(usize, usize), (usize, usize)> = HashMap::new();
        let (mut last, mut squeezed) = (0, false);
        for name in ours {
            let stage: usize = match name.split('.').collect::<Vec<_>>()[..] {
                ["features", stage, block, "block", step, ref rest @ ..] => {
                    squeezed |= rest.first() == Some(&"fc1");
                    let (stage, block) = (stage.parse().ok()?, block.parse().ok()?);
                    let number = known.len();
                    let entry = known.entry((stage, block)).or_insert((number, 0));
                    entry.1 = entry.1.max(step.parse().ok()?);
                    stage
                }
                ["features", stage, "0" | "1", _] => stage.parse().ok()?,
                ["classifier", "1", _] => 0,
                _ => return None,
            };
            last = last.max(stage);
        }
        (!known.is_empty()).then_some(Self {
            known,
            last,
            squeezed,
        })
    }

    fn part<'a>(&self, name: &'a str) -> Option<Part<'a>> {
        if let Some(role) = name.strip_prefix("classifier.1.") {
            return Some(Part::Head(role));
        }
        let (stage, rest) = name.strip_prefix("features.")?.split_once('.')?;
        let stage: usize = stage.parse().ok()?;
        if stage == 0 || stage == self.last {
            let last = stage > 0;
            return Some(Part::Outer { last, rest });
        }
        let (block, rest) = rest.split_once(".block.")?;
        let (step, rest) = rest.split_once('.')?;
        let (block, step) = (block.parse().ok()?, step.parse().ok()?);
        Some(Part::Step {
            stage,
            block,
            step,
            rest,
        })
    }

    fn does(&self, stage: usize, block: usize, step: usize) -> Option<(usize, bool, Does)> {
        let &(number, last) = self.known.get(&(stage, block))?;
        let widens = last == if self.squeezed { 3 } else { 2 };
        let does = match step + usize::from(!widens) {
            0 => Does::Widen,
            1 => Does::Filter,
            2 if self.squeezed => Does::Weigh,
            _ => Does::Narrow,
        };
        Some((number, widens, does))
    }

    /// The name in a dialect that calls the layers outside the blocks so, and those of a block as `layer` says.
    fn named(&self, name: &str, outer: &OuterNames, layer: impl Fn(&Layer) -> String) -> Option<String> {
        Some(match self.part(name)? {
            Part::Head(role) => format!("{}.{role}", outer.head),
            Part::Outer { last, rest } => {
                let (place, role) = rest.split_once('.')?;
                let names = if last { outer.last } else { outer.first };
                format!("{}.{role}", names[usize::from(place != "0")])
            }
            Part::Step {
                stage,
                block,
                step,
                rest,
            } => {
                let (number, widens, does) = self.does(stage, block, step)?;
                let (inner, role) = rest.split_once('.')?;
                let layer = layer(&Layer {
                    number,
                    stage,
                    block,
                    widens,
                    does,
                    inner,
                });
                format!("{layer}.{role}")
            }
        })
    }

    /// As in the files made from TensorFlow's: `_blocks.3._expand_conv.weight`.
    fn keras_like(&self, name: &str) -> Option<String> {
        let outer = OuterNames {
            first: ["_conv_stem", "_bn0"],
            last: ["_conv_head", "_bn1"],
            head: "_fc",
        };
        self.named(name, &outer, |layer| {
            let own = match (&layer.does, layer.inner) {
                (Does::Widen, "0") => "_expand_conv",
                (Does::Widen, _) => "_bn0",
                (Does::Filter, "0") => "_depthwise_conv",
                (Does::Filter, _) => "_bn1",
                (Does::Weigh, "fc1") => "_se_reduce",
                (Does::Weigh, _) => "_se_expand",
                (Does::Narrow, "0") => "_project_conv",
                (Does::Narrow, _) => "_bn2",
            };
            format!("_blocks.{}.{own}", layer.number)
        })
    }

    /// As timm has them: `blocks.2.0.conv_pw.weight`.
    fn timm(&self, name: &str) -> Option<String> {
        let outer = OuterNames {
            first: ["conv_stem", "bn1"],
            last: ["conv_head", "bn2"],
            head: "classifier",
        };
        self.named(name, &outer, |layer| {
            let own = match (&layer.does, layer.inner, layer.widens) {
                (Does::Widen, "0", _) => "conv_pw",
                (Does::Widen, ..) => "bn1",
                (Does::Filter, "0", _) => "conv_dw",
                (Does::Filter, _, true) => "bn2",
                (Does::Filter, _, false) => "bn1",
                (Does::Weigh, "fc1", _) => "se.conv_reduce",
                (Does::Weigh, ..) => "se.conv_expand",
                (Does::Narrow, "0", true) => "conv_pwl",
                (Does::Narrow, "0", false) => "conv_pw",
                (Does::Narrow, _, true) => "bn3",
                (Does::Narrow, _, false) => "bn2",
            };
            format!("blocks.{}.{}.{own}", layer.stage - 1, layer.block)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_off_when_all_names_have_them() {
        assert_eq!(unwrapped(&["module.model.a", "module.model.b"]), ["a", "b"]);
        assert_eq!(unwrapped(&["module.a", "b"]), ["module.a", "b"]);
        assert!(unwrapped(&[]).is_empty());
    }

    #[test]
    fn efficientnets_have_three_sets_of_names() {
        let ours = [
            "features.0.0.weight",
            "features.1.0.block.0.0.weight",
            "features.1.0.block.1.1.bias",
            "features.2.0.block.0.0.weight",
            "features.2.0.block.1.1.running_var",
            "features.2.0.block.2.1.bias",
            "features.3.1.weight",
            "classifier.1.bias",
        ];
        let dialects = dialects(&ours);
        let keras_like = [
            "_conv_stem.weight",
            "_blocks.0._depthwise_conv.weight",
            "_blocks.0._bn2.bias",
            "_blocks.1._expand_conv.weight",
            "_blocks.1._bn1.running_var",
            "_blocks.1._bn2.bias",
            "_bn1.weight",
            "_fc.bias",
        ];
        let timm = [
            "conv_stem.weight",
            "blocks.0.0.conv_dw.weight",
            "blocks.0.0.bn2.bias",
            "blocks.1.0.conv_pw.weight",
            "blocks.1.0.bn2.running_var",
            "blocks.1.0.bn3.bias",
            "bn2.weight",
            "classifier.bias",
        ];
        assert_eq!(dialects[dialects.len() - 2], keras_like);
        assert_eq!(dialects[dialects.len() - 1], timm);
    }
}
