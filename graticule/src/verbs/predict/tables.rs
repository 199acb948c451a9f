//! Predictions for the rows of CSV tables.

use data::{DataError, InputEncoding, Raw, TableReader, TableRow};
use serde_json::{Map, Value, json};
use train::Network;

use super::{Args, BATCH, Predicted, answer_cells, answer_header, answer_object, infer};
use crate::error::{Failure, Outcome};

/// Reads every row of every table and asks the network; the cells of the file stand before the predictions.
pub(super) fn predict(args: &Args, network: &mut Network) -> Outcome<Predicted> {
    let InputEncoding::Table(encoding) = &network.preprocess().input else {
        return Err(Failure::new("this network reads pictures"));
    };
    let columns = encoding.columns();
    let mut predicted = Predicted::default();
    let mut own: Option<Vec<String>> = None;
    for input in &args.inputs {
        if input.is_dir() {
            return Err(Failure::new("is a folder; this network reads tables")
                .at(input.display())
                .help("give a CSV file"));
        }
        let mut reader = TableReader::open(input, &columns)?;
        let headers = reader.headers().to_vec();
        let first = own.get_or_insert_with(|| headers.clone());
        if *first != headers {
            let cause = format!(
                "the columns are {}; those of the first table are {}",
                headers.join(", "),
                first.join(", ")
            );
            return Err(Failure::new(cause)
                .at(input.display())
                .help("predict tables of different columns one at a time"));
        }
        loop {
            let rows: Vec<TableRow> = reader.by_ref().take(BATCH).collect::<Result<_, DataError>>()?;
            if rows.is_empty() {
                break;
            }
            add(&mut predicted, network, &headers, rows)?;
        }
    }
    if predicted.rows.is_empty() {
        return Err(Failure::new("the tables have no rows"));
    }
    predicted.header = own.unwrap_or_default();
    predicted.header.extend(answer_header(network.task()));
    Ok(predicted)
}

fn add(predicted: &mut Predicted, network: &mut Network, headers: &[String], rows: Vec<TableRow>) -> Outcome {
    let task = network.task().clone();
    let (samples, cells): (Vec<Raw>, Vec<Vec<String>>) =
        rows.into_iter().map(|row| (row.raw, row.cells)).unzip();
    for (cells, values) in cells.into_iter().zip(infer(network, &samples)?) {
        let given: Map<String, Value> = headers
            .iter()
            .cloned()
            .zip(cells.iter().map(|cell| json!(cell)))
            .collect();
        let mut object = Map::from_iter([("row".to_string(), Value::Object(given))]);
        object.extend(answer_object(&task, &values));
        predicted.objects.push(Value::Object(object));
        predicted
            .rows
            .push([cells, answer_cells(&task, &values)].concat());
    }
    Ok(())
}
