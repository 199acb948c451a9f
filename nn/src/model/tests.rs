use graph::{GraphError, Scope, Symbol};
use proptest::prelude::*;

use super::architecture::{MAX_NODES, NodeRecord};
use super::*;

fn weight(x: &Symbol, kind: &str, name: Option<&str>) -> Symbol {
    let _layer = Scope::enter(kind, name);
    x.mul(&Symbol::parameter("weight", [3], Default::default()))
        .unwrap()
}

fn names(model: &Model) -> Vec<&str> {
    model.parameters().iter().map(|p| p.name.as_str()).collect()
}

#[test]
fn unnamed_layers_are_numbered_within_their_parent() {
    let x = Symbol::input("x", [3]);
    let a = weight(&x, "dense", None);
    let b = {
        let _block = Scope::enter("residual", Some("layer1"));
        let _first = Scope::enter("block", Some("0"));
        weight(&weight(&a, "dense", None), "dense", None)
    };
    let c = weight(&weight(&b, "dense", Some("dense_1")), "dense", None);
    let model = Model::new("m", &x, &c).unwrap();
    let expected = [
        "dense.weight",
        "layer1.0.dense.weight",
        "layer1.0.dense_1.weight",
        "dense_1.weight",
        "dense_2.weight",
    ];
    assert_eq!(names(&model), expected);
    assert_eq!(model.parameter("layer1.0.dense_1.weight").unwrap().count(), 3);
}

#[test]
fn names_do_not_depend_on_other_models_made_before() {
    let make = || {
        let x = Symbol::input("x", [3]);
        Model::new("m", &x, &weight(&weight(&x, "conv2d", None), "conv2d", None)).unwrap()
    };
    assert_eq!(names(&make()), names(&make()));
}

#[test]
fn two_layers_of_one_name_are_an_error() {
    let x = Symbol::input("x", [3]);
    let y = weight(&weight(&x, "dense", Some("head")), "dense", Some("head"));
    let error = Model::new("m", &x, &y).unwrap_err().to_string();
    assert!(error.contains("two layers are named `head`"), "{error}");
}

#[test]
fn a_role_used_twice_is_numbered() {
    let x = Symbol::input("x", [3]);
    let w = || Symbol::parameter("scale", [3], Default::default());
    let y = x.mul(&w()).unwrap().mul(&w()).unwrap();
    assert_eq!(names(&Model::new("m", &x, &y).unwrap()), ["scale", "scale_1"]);
}

#[test]
fn inputs_must_be_the_graphs_inputs() {
    let (x, z) = (Symbol::input("x", [3]), Symbol::input("z", [3]));
    let y = x.add(&z).unwrap();
    let missing = Model::new("m", &x, &y).unwrap_err();
    assert_eq!(missing, GraphError::MissingInput { name: "z".into() });
    let unread = Model::with("m", &[x.clone(), z.clone()], &[x.neg().unwrap()]).unwrap_err();
    assert!(unread.to_string().contains("no output reads the input `z`"));
    let none = Model::new("m", &y, &y).unwrap_err();
    assert!(
        none.to_string().contains("a add node was given where an input"),
        "{none}"
    );
    assert!(Model::with("m", &[x, z], &[y]).is_ok());
}

#[test]
fn counts_tell_trainable_numbers_from_all() {
    let x = Symbol::input("x", [3]);
    let mean = Symbol::state("running_mean", [3], Default::default());
    let model = Model::new("m", &x, &weight(&x, "dense", None).sub(&mean).unwrap()).unwrap();
    assert_eq!((model.trainable_count(), model.parameter_count()), (3, 6));
}

fn described() -> Architecture {
    let x = Symbol::input("x", [3]);
    let y = {
        let _block = Scope::enter("block", None);
        weight(&x, "dense", None).add(&x).unwrap()
    };
    Model::new("m", &x, &y.mul(&Symbol::constant(0.1, [])).unwrap())
        .unwrap()
        .architecture()
}

#[test]
fn an_architecture_survives_json() {
    let described = described();
    let json = serde_json::to_string(&described).unwrap();
    let read: Architecture = serde_json::from_str(&json).unwrap();
    let model = Model::from_architecture(&read).unwrap();
    assert_eq!(model.architecture(), described);
    assert_eq!(names(&model), ["block.dense.weight"]);
}

#[test]
fn indices_must_point_backwards() {
    let mut forward = described();
    let last = forward.nodes.len() - 1;
    forward.nodes[last].reads[0] = last;
    let error = Model::from_architecture(&forward).unwrap_err();
    assert!(
        matches!(error, ArchitectureError::Index { what: "node", .. }),
        "{error}"
    );
    let mut output = described();
    output.outputs = vec![99];
    assert!(
        Model::from_architecture(&output)
            .unwrap_err()
            .to_string()
            .contains("the list of outputs")
    );
    let mut layer = described();
    layer.layers[0].parent = Some(0);
    assert!(
        Model::from_architecture(&layer)
            .unwrap_err()
            .to_string()
            .contains("layer 0 (`block`)")
    );
}

#[test]
fn sizes_are_bounded() {
    for shape in [vec![1 << 16, 1 << 16], vec![usize::MAX, 2], vec![1 << 40]] {
        let mut huge = described();
        huge.nodes[0].op = graph::ops::Input {
            name: "x".into(),
            sample_shape: shape.into(),
        }
        .into();
        let error = Model::from_architecture(&huge).unwrap_err();
        assert!(matches!(error, ArchitectureError::TooLarge { .. }), "{error}");
    }
    let mut grown = described();
    let slice = graph::ops::Slice {
        axis: 1,
        start: usize::MAX,
        length: usize::MAX,
        step: usize::MAX,
    };
    grown.nodes.push(NodeRecord {
        op: slice.into(),
        reads: vec![0],
        layer: None,
    });
    assert!(Model::from_architecture(&grown).is_err());
}

#[test]
fn products_that_grow_from_node_to_node_are_bounded() {
    let mut doubling = described();
    for _ in 0..40 {
        let last = doubling.nodes.len() - 1;
        let op = graph::ops::Concat { axis: 1 }.into();
        doubling.nodes.push(NodeRecord {
            op,
            reads: vec![last, last],
            layer: None,
        });
    }
    let error = Model::from_architecture(&doubling).unwrap_err();
    assert!(matches!(error, ArchitectureError::TooLarge { .. }), "{error}");
}

#[test]
fn a_very_deep_model_is_built_and_dropped() {
    let mut deep = described();
    while deep.nodes.len() < MAX_NODES {
        let last = deep.nodes.len() - 1;
        let op = graph::ops::Affine {
            scale: 1.0,
            shift: 0.0,
        }
        .into();
        deep.nodes.push(NodeRecord {
            op,
            reads: vec![last],
            layer: None,
        });
    }
    deep.outputs = vec![MAX_NODES - 1];
    drop(Model::from_architecture(&deep).unwrap());
    let one_more = deep.nodes[MAX_NODES - 1].clone();
    deep.nodes.push(one_more);
    assert!(
        Model::from_architecture(&deep)
            .unwrap_err()
            .to_string()
            .contains("number of nodes")
    );
}

#[test]
fn parameter_names_must_be_those_of_the_graph() {
    let mut renamed = described();
    renamed.parameters[0] = "elsewhere.weight".into();
    let error = Model::from_architecture(&renamed).unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter 0 is called `elsewhere.weight` where the graph gives `block.dense.weight`"
    );
}

/// A network with most kinds of ops.
fn all_kinds() -> String {
    let line = "conv 4 3 same prelu name=a, batchnorm, lrn 3, depthwise 3 same elu, local 4 3 same, layernorm name=b, \
                add from=a+b, concat from=a+b, upsample 2 bilinear, avgpool 2, minpool 3 1 same, l2pool 2, \
                convtranspose 3 2 stride=2, maxpool 2, gelu, flatten, maxout 5 3, dropout 0.3, dense 4 softmax";
    let model = text::from_line(line, &[8, 8, 2], Some(4)).unwrap();
    serde_json::to_string(&model.architecture()).unwrap()
}

/// Builds it, and if it builds looks at all sizes: nothing of this may panic.
fn read(json: &str) -> bool {
    let Ok(described) = serde_json::from_str::<Architecture>(json) else {
        return false;
    };
    let Ok(model) = Model::from_architecture(&described) else {
        return false;
    };
    let _ = summary(&model, &graph::Binding::batch(2));
    model.parameter_count() > 0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_number_in_an_architecture_panics(at in 0usize..1_000_000, number in prop_oneof![
        "0", "1", "[0-9]{1,4}", "2147483647", "4294967296", "18446744073709551615", "[0-9]{9,19}", "-1", "0.5"
    ]) {
        thread_local!(static WHOLE: String = all_kinds());
        WHOLE.with(|whole| {
            // Every run of digits is a number or part of one.
            let starts: Vec<usize> = whole.char_indices().zip(std::iter::once(' ').chain(whole.chars()))
                .filter(|((_, c), before)| c.is_ascii_digit() && !before.is_ascii_digit())
                .map(|((i, _), _)| i)
                .collect();
            let start = starts[at % starts.len()];
            let end = start + whole[start..].chars().take_while(char::is_ascii_digit).count();
            read(&format!("{}{number}{}", &whole[..start], &whole[end..]));
        });
    }
}

#[test]
fn a_network_of_all_kinds_comes_back() {
    assert!(read(&all_kinds()));
}
