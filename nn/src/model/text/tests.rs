use graph::Binding;
use proptest::prelude::*;

use super::*;
use crate::model::summary;

const IMAGE: &[usize] = &[28, 28, 1];

fn shape(line: &str) -> Vec<usize> {
    from_line(line, IMAGE, None).unwrap().output().shape().to_vec()
}

fn message(line: &str) -> String {
    from_line(line, IMAGE, Some(10)).unwrap_err().to_string()
}

#[test]
fn the_designs_line_is_lenet_like() {
    let model = from_line(
        "conv 6 5 same tanh, avgpool 2, flatten, dense 10",
        IMAGE,
        Some(10),
    )
    .unwrap();
    assert_eq!(model.trainable_count(), 6 * 25 + 6 + 14 * 14 * 6 * 10 + 10);
    let rows = summary(&model, &Binding::batch(1)).unwrap().layers;
    let rows: Vec<(&str, &[usize])> = rows
        .iter()
        .map(|r| (r.kind.as_str(), &r.output_shape[1..]))
        .collect();
    let expected: [(&str, &[usize]); 5] = [
        ("input", &[28, 28, 1]),
        ("conv2d", &[28, 28, 6]),
        ("avg_pool2d", &[14, 14, 6]),
        ("flatten", &[1176]),
        ("dense", &[10]),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn options_do_what_they_say() {
    assert_eq!(shape("conv 8 3 stride=2 pad=1 floor"), [1, 14, 14, 8]);
    assert_eq!(shape("conv 8 3 2 same"), [1, 14, 14, 8]);
    assert_eq!(shape("conv 8 3x5"), [1, 26, 24, 8]);
    assert_eq!(shape("conv 8 3 padding=0x1x0x1"), [1, 27, 27, 8]);
    assert_eq!(shape("conv 8 3 dilation=2"), [1, 24, 24, 8]);
    assert_eq!(shape("conv 8 3 full"), [1, 30, 30, 8]);
    assert_eq!(shape("conv 8 3, depthwise 3 multiplier=2"), [1, 24, 24, 16]);
    assert_eq!(shape("convtranspose 4 2 stride=2"), [1, 56, 56, 4]);
    assert_eq!(shape("upsample 2, conv 4 1"), [1, 56, 56, 4]);
    assert_eq!(shape("maxpool 3 1"), [1, 26, 26, 1]);
    assert_eq!(shape("flatten, maxout 7 3, leakyrelu 0.1"), [1, 7]);
    assert_eq!(shape("globalavgpool, dense 3"), [1, 3]);
    let count = |line| from_line(line, IMAGE, None).unwrap().parameter_count();
    assert_eq!((count("conv 8 3"), count("conv 8 3 nobias")), (80, 72));
    assert_eq!(count("conv 8 3, conv 8 3 groups=4"), 80 + 9 * 2 * 8 + 8);
    assert_eq!(count("local 2 5 stride=23"), 2 * 2 * 25 * 2 + 2 * 2 * 2);
}

#[test]
fn names_and_branches() {
    let line = "conv 4 3 same name=stem, conv 4 3 same relu name=a, add from=stem+a, concat from=stem+a";
    let model = from_line(line, IMAGE, None).unwrap();
    assert_eq!(model.output().shape()[..], [1, 28, 28, 8]);
    assert!(model.parameter("stem.weight").is_some() && model.parameter("a.bias").is_some());
}

#[test]
fn every_layer_type_builds() {
    for layer in LAYERS {
        let line = match layer.name {
            "conv" | "convtranspose" | "local" => format!("{} 4 3", layer.name),
            "depthwise" => "depthwise 3".into(),
            "dense" | "maxout" => format!("flatten, {} 4", layer.name),
            "add" | "concat" => format!("relu name=a, {} from=input+a", layer.name),
            other => other.into(),
        };
        let built = match layer.name {
            "conv1d" => from_line("conv1d 4 3", &[100, 2], None),
            "attention" => from_line("attention heads=2", &[10, 6], None),
            "transformer" => from_line(
                "positions learned, transformer 2 12 gelu prenorm causal",
                &[10, 6],
                None,
            ),
            "reshape" => from_line("reshape 7x112, globalavgpool", IMAGE, None),
            "positions" | "rnn" | "lstm" | "gru" => {
                let line = "positions, rnn 4 sequence, gru 4 2 bidirectional sequence, lstm 3 reversed";
                from_line(line, &[10, 6], None)
            }
            "graphconv" => from_line(
                "attention heads=1 name=v, softmax name=a, graphconv 3 relu nobias from=v+a",
                &[6, 6],
                None,
            ),
            _ => from_line(&line, IMAGE, None),
        };
        assert!(built.is_ok(), "{line}: {}", built.unwrap_err());
    }
}

#[test]
fn errors_point_at_the_word() {
    let expected = "\
unknown layer `cnov`; did you mean `conv`?
layers: ";
    let text = message("cnov 6 5, dense 10");
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("\n  cnov 6 5, dense 10\n  ^^^^"), "{text}");
    let text = message("conv 6 5 smae, dense 10");
    assert!(
        text.starts_with("`conv` does not take `smae`; did you mean `same`?"),
        "{text}"
    );
    assert!(
        text.ends_with("\n  conv 6 5 smae, dense 10\n           ^^^^"),
        "{text}"
    );
    assert!(
        message("conv 6 5 same bn relu").starts_with("`bn` is a layer of its own: put a comma before it")
    );
    let text = message("conv 6 5 stirde=2");
    assert!(
        text.contains("`conv` has no option `stirde`; did you mean `stride`?"),
        "{text}"
    );
    let text = message("conv 6");
    assert!(text.contains("`conv` needs its kernel: a whole number"), "{text}");
    let text = message("conv 6.5 3");
    assert!(
        text.contains("`filters` must be a whole number") && text.contains("found `6.5`"),
        "{text}"
    );
    let text = message("conv 6 5 same valid");
    assert!(text.contains("`padding` is given twice"), "{text}");
    let text = message("flatten, dense 10 20");
    assert!(
        text.contains("`dense` takes no further number, found 20"),
        "{text}"
    );
    let text = message("conv 6 5,, dense 10");
    assert!(text.contains("a layer is missing here"), "{text}");
    assert!(message("").contains("a layer is missing here"));
    let text = message("conv 6 5 from=nowhere");
    assert!(
        text.contains("no layer before this one is named `nowhere`"),
        "{text}"
    );
    assert!(message("add from=input").contains("reads two layers or more"));
}

#[test]
fn shapes_that_do_not_fit_are_told_with_the_formula() {
    let text = message("conv 6 5 stride=2, flatten, dense 10");
    assert!(text.contains("(28 − 5 + 2·0)/2 + 1 = 12.5"), "{text}");
    assert!(message("conv 6 5, dense 10").contains("put `flatten` or `globalavgpool` before it"));
    assert!(message("flatten, dense 7").contains("has 7 outputs, but the data asks for 10"));
    let text = from_line("flatten, dense classes", IMAGE, None)
        .unwrap_err()
        .to_string();
    assert!(text.contains("`classes` stands for"), "{text}");
}

#[test]
fn sizes_are_bounded() {
    assert!(message("conv 1048576 3, conv 1048576 4096 full").contains("more than 2147483648 elements"));
    assert!(message("upsample 4096, upsample 4096, upsample 4096").contains("elements"));
    assert!(message("flatten, dense 99999999999999999999").contains("`units` must be"));
    assert!(message(&"relu,".repeat(MAX_TEXT)).contains("bytes; at most"));
}

const TOML: &str = r#"name = "small"
input = [28, 28, 1]

[[layer]]
type = "conv"
filters = 6
kernel = [5, 5]
padding = "same"
activation = "leaky_relu:0.1"

[[layer]]
type = "maxpool"
size = 2

[[layer]]
type = "flatten"

[[layer]]
type = "dense"
name = "head"
units = "classes"
bias = false
"#;

#[test]
fn toml_says_the_same_as_a_line() {
    let model = from_toml(TOML, None, Some(10)).unwrap();
    assert_eq!(model.name(), "small");
    assert_eq!(
        model.parameter("head.weight").unwrap().shape()[..],
        [14 * 14 * 6, 10]
    );
    assert!(model.parameter("head.bias").is_none());
    let line = "conv 6 5 same leaky_relu:0.1, maxpool 2, flatten, dense classes nobias name=head";
    let mut same = from_line(line, IMAGE, Some(10)).unwrap().architecture();
    same.name = "small".into();
    assert_eq!(model.architecture(), same);
}

#[test]
fn toml_errors_say_the_line() {
    let wrong = |from: &str, to: &str| from_toml(&TOML.replace(from, to), None, Some(10)).unwrap_err();
    let error = wrong("size = 2", "szie = 2");
    assert_eq!((error.line, error.column), (13, 1));
    assert!(
        error
            .to_string()
            .starts_with("line 13: `maxpool` has no option `szie`; did you mean `size`?"),
        "{error}"
    );
    assert!(
        wrong("\"flatten\"", "\"flaten\"")
            .to_string()
            .contains("did you mean `flatten`?")
    );
    assert!(
        wrong("[5, 5]", "[5, 5, 5]")
            .to_string()
            .contains("`kernel` must be a whole number")
    );
    assert!(
        wrong("[28, 28, 1]", "[28, -1]")
            .to_string()
            .contains("`input` must be the shape of one sample")
    );
    assert!(wrong("bias = false", "bias = maybe").line == 22);
    assert!(
        wrong("input", "inptu")
            .to_string()
            .contains("did you mean `input`?")
    );
    let error = from_toml(TOML, Some(&[32, 32, 3]), None).unwrap_err().to_string();
    assert!(
        error.contains("`input` is [28, 28, 1], but the data has samples of [32, 32, 3]"),
        "{error}"
    );
    assert!(
        from_toml("", None, None)
            .unwrap_err()
            .to_string()
            .contains("found 0 `[[layer]]` tables")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_panics(words in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(LAYERS.iter().map(|l| l.name.to_string()).collect::<Vec<_>>()),
            proptest::sample::select(["same", "full", "nobias", ",", "classes", "stride=2", "pad=1", "name=a", "from=a", "3x3", "ü="].map(String::from).to_vec()),
            "[0-9]{1,7}",
            "\\PC{0,6}",
        ], 0..12)) {
        let _ = from_line(&words.join(" "), &[28, 28, 4], Some(3));
    }

    #[test]
    fn no_toml_panics(at in 0usize..10_000, with in "\\PC{0,8}", cut in 0usize..6) {
        let at = at % TOML.len();
        let end = (at + cut).min(TOML.len());
        let text = format!("{}{with}{}", &TOML[..at], &TOML[end..]);
        let _ = from_toml(&text, None, Some(3));
    }
}

/// Everything that a line can say is written as the same layers, and comes back.
#[test]
fn lines_come_back_from_toml() {
    let images = [
        "conv 6 5x3 stride=2 pad=1 floor relu groups=1, maxpool 3 2 pad=1 floor, flatten, dense 10 nobias",
        "conv 8 3 same prelu name=a, conv 8 3 same dilation=2 init=he_uniform name=b, add from=a+b relu name=c, concat from=c+b name=d, add from=d+d",
        "depthwise 3 multiplier=4 same leaky_relu:0.2, convtranspose 4 2 stride=2, upsample 2 bilinear",
        "local 2 5 stride=23, flatten, maxout 7 3, dropout 0.25, leakyrelu 0.1, prelu, softmax",
        "minpool 2, l2pool 2, avgpool 3 1 pad=1 count_padding, adaptiveavgpool 5, globalavgpool, scaledtanh",
        "batchnorm 0.2 0.001, lrn 3 0.002 0.5 2, layernorm, globalmaxpool, gelu, silu, softplus, elu 0.5, relu6, tanh",
        "adaptiveavgpool 7, adaptiveavgpool 7, conv 4 3x1 pad=0x1x0x2 init=normal:0.03",
    ];
    let sequences = [
        "positions learned, transformer 2 12 gelu prenorm causal, attention heads=3, dense 5 each gelu, globalavgpool",
        "positions, rnn 4 sequence, gru 4 2 bidirectional sequence, lstm 3 reversed, dense 2",
        "transformer 3 dropout=0.1, reshape 12x5, conv1d 4 3 same relu",
    ];
    let images = images.map(|line| (line.to_string(), vec![28, 28, 1]));
    let sequences = sequences.map(|line| (line.to_string(), vec![10, 6]));
    for (line, input) in images.into_iter().chain(sequences) {
        let model = from_line(&line, &input, None).unwrap_or_else(|e| panic!("{line}: {e}"));
        let text = to_toml(&model).unwrap();
        let again = from_toml(&text, None, None).unwrap_or_else(|e| panic!("{line}: {e}\n{text}"));
        let mut again = again.architecture();
        let expected = model.architecture();
        again.name.clone_from(&expected.name);
        assert_eq!(again.parameters, expected.parameters, "{line}");
        let ops = |a: &crate::Architecture| {
            a.nodes
                .iter()
                .map(|n| (n.op.clone(), n.reads.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(ops(&again), ops(&expected), "{line}\n{text}");
        // `conv1d` is a convolution between two reshapes.
        let plain = if line.contains("conv1d") { 2 } else { 0 };
        assert_eq!(text.matches("type = \"op\"").count(), plain, "{line}\n{text}");
    }
}

#[test]
fn defaults_are_left_out() {
    let model = from_line("conv 6 5 same relu, maxpool 2, flatten, dense 10", IMAGE, None).unwrap();
    let expected = "name = \"layers\"\ninput = [28, 28, 1]\n
[[layer]]\ntype = \"conv\"\nname = \"conv2d\"\nfilters = 6\nkernel = 5\npadding = \"same\"\nactivation = \"relu\"\n
[[layer]]\ntype = \"maxpool\"\nsize = 2\n
[[layer]]\ntype = \"flatten\"\n
[[layer]]\ntype = \"dense\"\nname = \"dense\"\nunits = 10\n";
    assert_eq!(to_toml(&model).unwrap(), expected);
}

const PLAIN: &str = r#"input = [4, 4, 2]

[[layer]]
type = "parameter"
name = "gate.factor"
shape = [2]
init = "normal:0.5"

[[layer]]
type = "op"
name = "gated"
layer = "gate"
from = ["input", "gate.factor"]
op = { op = "binary", kind = "multiply" }

[[layer]]
type = "parameter"
name = "gate.limit"
shape = [2]
trainable = false

[[layer]]
type = "op"
op = { op = "unary", kind = { leaky_relu = 0.1 } }

[[layer]]
type = "add"
from = ["gated", "gate.limit"]
"#;

#[test]
fn plain_ops_and_parameters_make_any_graph() {
    let read = PLAIN.replace(
        "from = [\"gated\", \"gate.limit\"]",
        "from = [\"slope\", \"gate.limit\"]",
    );
    let read = read.replace(
        "[[layer]]\ntype = \"op\"\nop =",
        "[[layer]]\ntype = \"op\"\nname = \"slope\"\nop =",
    );
    let model = from_toml(&read, None, None).unwrap();
    let names: Vec<&str> = model.parameters().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["gate.factor", "gate.limit"]);
    assert_eq!((model.trainable_count(), model.parameter_count()), (2, 4));
    assert_eq!(model.nodes().len(), 6);
    let written = to_toml(&model).unwrap();
    assert!(
        written.contains("op = { op = \"binary\", kind = \"multiply\" }"),
        "{written}"
    );
    assert!(
        written.contains("type = \"leakyrelu\"\nname = \"leakyrelu\"\nslope = 0.1\n"),
        "{written}"
    );
    assert_eq!(
        to_toml(&from_toml(&written, None, None).unwrap()).unwrap(),
        written
    );
}

#[test]
fn plain_tables_are_not_trusted() {
    let told = |from: &str, to: &str| {
        assert!(PLAIN.contains(from), "{from}");
        from_toml(&PLAIN.replacen(from, to, 1), None, None)
            .unwrap_err()
            .to_string()
    };
    let text = told("shape = [2]", "shape = [99999, 99999, 99999]");
    assert!(
        text.contains("line 6: `shape` must be a list of whole numbers"),
        "{text}"
    );
    assert!(told("shape = [2]", "shape = [0]").contains("`shape` must be"));
    assert!(told("shape = [2]", "shape = [1,1,1,1,1,1,1,1,2]").contains("`shape` must be"));
    assert!(told("shape = [2]\ninit", "init").contains("`parameter` needs its shape"));
    assert!(told("normal:0.5", "normal:nan").contains("`init` must be constant:0.1"));
    assert!(told("multiply", "multiplied").contains("not the attributes of an operation: unknown variant"));
    assert!(told("shape = [2]", "shape = [3]").contains("line 10:"));
    assert!(told("\"gate.factor\"]", "\"gate.fector\"]").contains("did you mean `gate.factor`?"));
    assert!(told("layer = \"gate\"", "laier = \"gate\"").contains("did you mean `layer`?"));
    let text = told(
        "{ op = \"binary\", kind = \"multiply\" }",
        "{ op = \"parameter\", role = \"w\", shape = [2], init = { constant = 0.0 }, trainable = true }",
    );
    assert!(
        text.contains("parameters in a table of `type = \"parameter\"`"),
        "{text}"
    );
    let text = told(
        "{ op = \"unary\", kind = { leaky_relu = 0.1 } }",
        "{ op = \"resize2d\", mode = \"nearest\", to = { scale = [4000000000, 4000000000] } }",
    );
    assert!(text.contains("multiplied"), "{text}");
    let text = told(
        "{ op = \"unary\", kind = { leaky_relu = 0.1 } }",
        "{ op = \"reshape\", to = { axes = [{ keep = 0 }, \"rest\", { length = 1 }, { length = 1 }, { length = 1 }, { length = 1 }, { length = 1 }, { length = 1 }, { length = 1 }] } }",
    );
    assert!(text.contains("9 axes; at most 8"), "{text}");
}

/// Names that are not their layer's path and their role.
#[test]
fn any_name_of_a_parameter_comes_back() {
    let x = graph::Symbol::input("input", [3]);
    let factor = |role: &str| graph::Symbol::parameter(role, [3], graph::ops::Init::Uniform(0.1));
    let (dotted, plain) = (factor("conv1.weight"), factor("scale"));
    let y = {
        let _layer = graph::Scope::enter("gate", Some("one.two"));
        let (first, second) = (factor("weight"), factor("weight"));
        x.mul(&first).unwrap().mul(&second).unwrap()
    };
    let y = y.mul(&dotted).unwrap().mul(&plain).unwrap();
    let model = Model::new("names", &x, &y).unwrap();
    let again = from_toml(&to_toml(&model).unwrap(), None, None).unwrap();
    let names = |m: &Model| m.parameters().iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        names(&model),
        ["conv1.weight", "scale", "one.two.weight", "one.two.weight_1"]
    );
    assert_eq!(names(&again), names(&model));
    let of = |m: &Model, k: usize| m.parameters()[k].symbol.as_parameter().cloned();
    assert!((0..4).all(|k| of(&again, k) == of(&model, k)));
}

#[test]
fn models_that_a_text_cannot_say_are_refused() {
    let x = graph::Symbol::input("x", [3]);
    let two = Model::with(
        "two",
        std::slice::from_ref(&x),
        &[x.mul(&x).unwrap(), x.neg().unwrap()],
    )
    .unwrap();
    let error = to_toml(&two).unwrap_err().to_string();
    assert!(error.contains("1 inputs and 2 outputs"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plain_table_panics(at in 0usize..10_000, with in "[0-9a-z\"{}=.,\\[\\] ]{0,8}", cut in 0usize..8) {
        let at = at % PLAIN.len();
        let end = (at + cut).min(PLAIN.len());
        let _ = from_toml(&format!("{}{with}{}", &PLAIN[..at], &PLAIN[end..]), None, None);
    }
}
