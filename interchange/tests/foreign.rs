//! Weights that PyTorch wrote (`tests/golden/foreign.py`), and files that only look like it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use graticule_interchange::foreign::{ForeignError, load, write};
use nn::Model;
use nn::prelude::*;
use proptest::prelude::*;
use safetensors::SafeTensors;

/// The network of `tests/golden/foreign.py`.
fn small() -> Model {
    let image = Symbol::input("image", [4, 5, 2]);
    let x = Conv2d::new(3, 3).no_bias().name("conv1").on(&image).unwrap();
    let x = Flatten.on(&BatchNorm::new().name("bn1").on(&x).unwrap()).unwrap();
    let y = Dense::new(6).name("fc").on(&x).unwrap();
    Model::new("small", &image, &y).unwrap()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden/foreign")
        .join(name)
}

/// The numbers that the script put into a parameter.
fn expected(model: &Model, name: &str) -> Vec<f32> {
    let before = model.parameters().iter().take_while(|p| p.name != name);
    let first: usize = before.map(|p| p.count()).sum();
    let count = model.parameter(name).unwrap().count();
    let number = |k: usize| ((7 * k % 61) as f32 - 30.0) / 4.0;
    (first..first + count).map(number).collect()
}

#[test]
fn every_form_that_pytorch_writes_gives_the_same_numbers() {
    let model = small();
    let files = [
        "small.safetensors",
        "zip.pth",
        "older.pth",
        "strided.pth",
        "strided-older.pth",
        "checkpoint.pth",
        "half.pth",
        "bfloat16.pth",
        "double.pth",
    ];
    for file in files {
        let weights = load(&model, &golden(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(weights.tensors.len(), 7, "{file}");
        assert_eq!(weights.ignored.len(), 1, "{file}: {:?}", weights.ignored);
        for tensor in &weights.tensors {
            let mut wanted = expected(&model, &tensor.name);
            if file.starts_with("strided") && tensor.name == "bn1.running_mean" {
                wanted = vec![wanted[0]; 3];
            }
            assert_eq!(tensor.values, wanted, "{file}, {}", tensor.name);
            assert_eq!(
                tensor.shape[..],
                model.parameter(&tensor.name).unwrap().shape()[..]
            );
        }
    }
}

/// Tensor for tensor what PyTorch's own writer made of the same network.
#[test]
fn what_is_written_is_what_pytorch_writes() {
    let model = small();
    let weights = load(&model, &golden("zip.pth")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.safetensors");
    write(&model, &weights.tensors, &path).unwrap();
    let (ours, theirs) = (
        fs::read(path).unwrap(),
        fs::read(golden("small.safetensors")).unwrap(),
    );
    let (ours, theirs) = (
        SafeTensors::deserialize(&ours).unwrap(),
        SafeTensors::deserialize(&theirs).unwrap(),
    );
    assert_eq!((ours.len(), theirs.len()), (7, 8));
    for (name, tensor) in ours.iter() {
        assert_eq!(tensor, theirs.tensor(name).unwrap(), "{name}");
    }
}

fn told(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    fs::write(&path, bytes).unwrap();
    load(&small(), &path).unwrap_err().to_string()
}

#[test]
fn a_pickle_that_calls_something_is_refused_by_name() {
    let error = load(&small(), &golden("evil.pth")).unwrap_err();
    let ForeignError::Refused { at, what, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(what, "`posix.system`");
    let bytes = fs::read(golden("evil.pth")).unwrap();
    assert!(bytes[*at as usize..].starts_with(b"cposix\nsystem\n"));
    assert!(error.to_string().contains("state_dict() instead"));
}

/// An older file whose pickled state is `state`.
fn older(state: &[u8]) -> Vec<u8> {
    let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.";
    [head, state, b"\x80\x02]."].concat()
}

#[test]
fn hostile_pickles_are_told_at_once() {
    let loops = |n: usize| [b"\x80\x02".to_vec(), b"(".repeat(n)].concat();
    let nested = [
        b"\x80\x02".to_vec(),
        b"]".repeat(300_000),
        b"a".repeat(299_999),
        b".".to_vec(),
    ]
    .concat();
    let cases: [(&str, Vec<u8>, &str); 13] = [
        ("an opcode", b"\x80\x02}2.".to_vec(), "the opcode DUP"),
        (
            "no opcode",
            b"\x80\x02\xff.".to_vec(),
            "the opcode 0xff, which does not exist",
        ),
        (
            "an object",
            b"\x80\x02ccollections\nOrderedDict\n)\x81.".to_vec(),
            "the opcode NEWOBJ",
        ),
        ("a protocol", b"\x80\x09.".to_vec(), "pickle protocol 9"),
        (
            "a text of 4 GB",
            b"\x80\x02X\xff\xff\xff\xff".to_vec(),
            "a text of 4294967295 bytes",
        ),
        (
            "an empty stack",
            b"\x80\x02.".to_vec(),
            "a value is missing on the stack",
        ),
        ("no mark", b"\x80\x02t.".to_vec(), "no mark was set"),
        ("marks", loops(1 << 21), "marks"),
        (
            "values",
            [b"\x80\x02".to_vec(), b"N".repeat(1 << 22)].concat(),
            "a stack of more than",
        ),
        (
            "itself",
            b"\x80\x02]q\x00h\x00a.".to_vec(),
            "no dictionary of named tensors",
        ),
        (
            "itself as a key",
            b"\x80\x02}q\x00h\x00h\x00s.".to_vec(),
            "no dictionary of named tensors",
        ),
        ("nesting", nested, "no dictionary of named tensors"),
        (
            "a forgotten value",
            b"\x80\x02h\x07.".to_vec(),
            "nothing was remembered under 7",
        ),
    ];
    for (what, state, part) in cases {
        let message = told(&older(&state));
        assert!(message.contains(part), "{what}: {message}");
    }
    assert!(told(b"\x80\x02N.").contains("no magic number"));
    assert!(told(b"PK\x03\x04 and nothing more").contains("cut short or damaged"));
    assert!(told(b"just a text").contains("neither safetensors nor"));
    assert!(told(b"").contains("neither safetensors nor"));
}

/// A few bytes that ask for gigabytes: one long list, key or name taken again and again.
#[test]
fn what_is_small_in_a_file_stays_small_in_memory() {
    let pair = b"]q\x01(NNe";
    let list = [&b"]q\x02("[..], pair, &b"h\x01".repeat(1 << 17), b"e0"].concat();
    let list = &list[..list.len() - 1];
    let again = b"h\x03h\x02\x85R".repeat(1 << 10);
    let lists = [b"\x80\x02(ccollections\nOrderedDict\nq\x03", list, &again, b"t."].concat();
    assert!(
        told(&older(&lists)).contains("items of dictionaries"),
        "{}",
        told(&older(&lists))
    );
    let long = "k".repeat(1 << 20);
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let storage = |key: &str| {
        [
            b"(",
            &text("storage")[..],
            b"ctorch\nFloatStorage\n",
            &text(key),
            b"NK\x01tQ",
        ]
        .concat()
    };
    let key = [b"\x80\x02", &storage(&long)[..], b"."].concat();
    assert!(
        told(&older(&key)).contains("a persistent id that means no storage"),
        "{}",
        told(&older(&key))
    );
    let tensor = [
        b"ctorch._utils\n_rebuild_tensor\n(",
        &storage("0")[..],
        b"K\x00))tR",
    ]
    .concat();
    let named = [b"\x80\x02}", &text(&long)[..], &tensor, b"s."].concat();
    assert!(
        told(&older(&named)).contains("name has 1048576 bytes"),
        "{}",
        told(&older(&named))
    );
}

/// Replaces the first place of `from` in an example file.
fn changed(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = fs::read(golden(name)).unwrap();
    let place = bytes.windows(from.len()).position(|w| w == from).unwrap();
    bytes.splice(place..place + from.len(), to.iter().copied());
    bytes
}

#[test]
fn tensors_outside_of_their_storage_are_told() {
    // The offset of conv1.weight, then its first length and its first stride.
    let offset = changed("older.pth", b"K\x36Ntq\x08QK\x00", b"K\x36Ntq\x08QK\x01");
    assert!(
        told(&offset).contains("`conv1.weight` of shape [3, 2, 3, 3]"),
        "{}",
        told(&offset)
    );
    let huge = changed("older.pth", b"QK\x00(K\x03", b"QK\x00(J\xff\xff\xff\x7f");
    assert!(
        told(&huge).contains("does not lie inside its 54 numbers"),
        "{}",
        told(&huge)
    );
    let negative = changed("older.pth", b"QK\x00(K\x03", b"QK\x00(J\xff\xff\xff\xff");
    assert!(
        told(&negative).contains("no whole numbers from 0 on"),
        "{}",
        told(&negative)
    );
    let count = changed(
        "older.pth",
        b"K\x36Ntq\x08QK\x00",
        b"J\xff\xff\xff\x7fNtq\x08QK\x00",
    );
    assert!(
        told(&count).contains("a storage of 54 numbers; its tensors expect 2147483647"),
        "{}",
        told(&count)
    );
    let order = changed("older.pth", b"little_endianq\x02\x88", b"little_endianq\x02\x89");
    assert!(told(&order).contains("not little-endian"), "{}", told(&order));
}

/// Loads, whatever it is; the numbers may be others, but never their count.
fn survives(bytes: &[u8], ending: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("weights.{ending}"));
    fs::write(&path, bytes).unwrap();
    let model = small();
    if let Ok(weights) = load(&model, &path) {
        for tensor in &weights.tensors {
            assert_eq!(
                tensor.values.len(),
                model.parameter(&tensor.name).unwrap().count()
            );
        }
    }
}

const FILES: [&str; 5] = [
    "small.safetensors",
    "zip.pth",
    "older.pth",
    "strided.pth",
    "checkpoint.pth",
];

#[test]
fn every_truncation_is_an_error() {
    for name in FILES {
        let bytes = fs::read(golden(name)).unwrap();
        for length in (0..bytes.len()).step_by(7) {
            told(&bytes[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_never_panics(
        file in 0..FILES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = fs::read(golden(FILES[file])).unwrap();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        survives(&bytes, "pth");
    }

    /// Any opcodes behind a sound beginning.
    #[test]
    fn any_pickle_is_survived(state in prop::collection::vec(
        prop_oneof![prop::sample::select(b"(.N\x88\x89JKM\x8aGX})]tld\x85\x86\x87aesuqrhjcRbQ\x94\x93".to_vec()), any::<u8>()],
        0..200,
    )) {
        survives(&older(&[b"\x80\x02", &state[..], b"."].concat()), "pth");
    }
}
