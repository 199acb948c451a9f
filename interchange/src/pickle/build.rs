//! What the few known functions make of their arguments: tensors and storages, as descriptions.

use super::Fault;
use super::machine::Machine;
use super::value::{Global, Id, Storage, Tensor, Value};

/// Most axes of a tensor.
const MAX_AXES: usize = 16;

/// The longest key of a storage, which each of its tensors keeps.
const MAX_KEY: usize = 256;

/// What `function` makes of `arguments`.
pub(super) fn reduce(machine: &Machine, function: Id, arguments: Id) -> Result<Value, Fault> {
    let values = &machine.values;
    let (Value::Global(global), Value::Tuple(arguments)) = (&values[function], &values[arguments]) else {
        return Err(machine.refused("a call of something that is no known function"));
    };
    match (global, &arguments[..]) {
        (Global::OrderedDict, []) => Ok(Value::Dict(Vec::new())),
        (Global::OrderedDict, [items]) => ordered(machine, *items),
        (Global::RebuildTensor, [storage, offset, shape, strides, ..]) => {
            tensor(machine, [*storage, *offset, *shape, *strides])
        }
        (Global::RebuildParameter, [data, ..]) => match &values[*data] {
            Value::Tensor(tensor) => Ok(Value::Tensor(tensor.clone())),
            _ => Err(machine.broken("a parameter without a tensor")),
        },
        (Global::Storage(_), _) => Err(machine.refused("a storage whose numbers stand inside of the pickle")),
        _ => Err(machine.broken("a known function with unknown arguments")),
    }
}

/// A dictionary of a list of pairs, as Python 2 wrote them.
fn ordered(machine: &Machine, items: Id) -> Result<Value, Fault> {
    let values = &machine.values;
    let wrong = || machine.broken("an OrderedDict of something else than pairs");
    let Value::List(items) = &values[items] else {
        return Err(wrong());
    };
    let pair = |&item: &Id| match &values[item] {
        Value::List(pair) | Value::Tuple(pair) => match pair[..] {
            [key, value] => Ok((key, value)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    Ok(Value::Dict(items.iter().map(pair).collect::<Result<_, _>>()?))
}

fn tensor(machine: &Machine, [storage, offset, shape, strides]: [Id; 4]) -> Result<Value, Fault> {
    let values = &machine.values;
    let (Value::Storage(storage), &Value::Int(offset)) = (&values[storage], &values[offset]) else {
        return Err(machine.broken("a tensor without a storage and an offset"));
    };
    let axes = |id: Id, what: &str| -> Result<Vec<usize>, Fault> {
        let items = match &values[id] {
            Value::Tuple(items) | Value::List(items) if items.len() <= MAX_AXES => items,
            _ => {
                return Err(machine.broken(&format!(
                    "a tensor without a tuple of {what} of at most {MAX_AXES} axes"
                )));
            }
        };
        let axis = |&item: &Id| match values[item] {
            Value::Int(length) => usize::try_from(length).ok(),
            _ => None,
        };
        let axes: Option<Vec<usize>> = items.iter().map(axis).collect();
        axes.ok_or_else(|| machine.broken(&format!("a tensor whose {what} are no whole numbers from 0 on")))
    };
    let (shape, strides) = (axes(shape, "lengths")?, axes(strides, "strides")?);
    if shape.len() != strides.len() {
        return Err(machine.broken(&format!(
            "a tensor of {} axes with {} strides",
            shape.len(),
            strides.len()
        )));
    }
    let offset =
        u64::try_from(offset).map_err(|_| machine.broken(&format!("a tensor that begins at {offset}")))?;
    let storage = storage.clone();
    Ok(Value::Tensor(Tensor {
        storage,
        offset,
        shape,
        strides,
    }))
}

/// The storage that a persistent id means: `('storage', type, key, place, count)`, to which older files add whether
/// it is a view of another one.
pub(super) fn storage(machine: &Machine, id: Id) -> Result<Value, Fault> {
    let values = &machine.values;
    let wrong = || machine.broken("a persistent id that means no storage");
    let Value::Tuple(parts) = &values[id] else {
        return Err(wrong());
    };
    let (parts, view) = match parts[..] {
        [kind, class, key, _, count] => ([kind, class, key, count], None),
        [kind, class, key, _, count, view] => ([kind, class, key, count], Some(view)),
        _ => return Err(wrong()),
    };
    let [kind, class, key, count] = parts.map(|id| &values[id]);
    if view.is_some_and(|view| values[view] != Value::None) {
        return Err(machine.refused("a storage that is a view of another one"));
    }
    match (kind, class, key, count) {
        (
            Value::Text(kind),
            &Value::Global(Global::Storage(numbers)),
            Value::Text(key),
            &Value::Int(count),
        ) if kind == "storage" && count >= 0 && key.len() <= MAX_KEY => {
            let (key, count) = (key.clone(), count as u64);
            Ok(Value::Storage(Storage { key, numbers, count }))
        }
        _ => Err(wrong()),
    }
}
