//! Figures that hold pictures: boundaries, galleries, filters, and the bars beside them.

mod wellformed;

use base64::Engine;
use graticule_report::Error;
use graticule_report::figures::*;
use ndarray::{Array2, Array3, Array4, array, s};
use wellformed::assert_well_formed;

/// The pictures inside a figure, decoded.
fn pictures(svg: &str) -> Vec<image::RgbaImage> {
    svg.split("data:image/png;base64,")
        .skip(1)
        .map(|rest| {
            let text = rest.split('"').next().unwrap_or_default();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .expect("base64");
            image::load_from_memory(&bytes).expect("a PNG").into_rgba8()
        })
        .collect()
}

fn plane(field: Field, samples: Vec<Sample>) -> DecisionBoundary {
    DecisionBoundary {
        title: "Plane".into(),
        x_label: "x₁".into(),
        y_label: "x₂".into(),
        field,
        extent: [-1.0, 1.0, -1.0, 1.0],
        samples,
        classes: vec!["in<side".into(), "outside".into()],
        colours: vec![],
    }
}

#[test]
fn l5_linear_boundary_is_where_the_probability_is_one_half() -> Result<(), Error> {
    let extent = [-1.0, 1.0, -1.0, 1.0];
    let points = grid_points(extent, 40, 40);
    let p = Array3::from_shape_fn((40, 40, 1), |(r, c, _)| {
        1.0 / (1.0 + (-8.0 * points[r * 40 + c].0 as f32).exp())
    });
    let held = Sample {
        x: 0.5,
        y: 0.5,
        target: 1.0,
        held_out: true,
    };
    let svg = decision_boundary(&plane(Field::Classes(p), vec![held]))?;
    assert_well_formed(&svg);
    assert!(svg.contains("in&lt;side") && svg.contains("held out"));
    let field = &pictures(&svg)[0];
    assert_eq!(
        field.get_pixel(0, 20).0[..3],
        [0, 114, 178],
        "left is the first class"
    );
    assert_eq!(
        field.get_pixel(39, 20).0[..3],
        [213, 94, 0],
        "right is the second"
    );
    let line = svg
        .split("<path d=\"")
        .nth(1)
        .unwrap_or_default()
        .split('"')
        .next()
        .unwrap_or_default();
    let xs: Vec<f64> = line
        .split(['M', 'L'])
        .filter_map(|p| p.split(' ').next()?.parse().ok())
        .collect();
    assert!(
        xs.len() == 2 * 39 && xs.iter().all(|x| (x - xs[0]).abs() < 0.02),
        "a straight upright line: {xs:?}"
    );
    Ok(())
}

#[test]
fn value_fields_have_a_scale_and_skip_bad_samples() -> Result<(), Error> {
    let mut values = Array2::from_shape_fn((10, 12), |(r, c)| r as f32 - c as f32);
    values[[3, 3]] = f32::NAN;
    let bad = Sample {
        x: f64::NAN,
        ..Sample::default()
    };
    let mut chart = plane(Field::Values(values), vec![bad, Sample::default()]);
    chart.classes.clear();
    let svg = decision_boundary(&chart)?;
    assert_well_formed(&svg);
    assert!(svg.contains("1 point is not drawn") && svg.contains("colour scale"));
    assert_eq!(pictures(&svg)[0].get_pixel(3, 3).0[3], 0, "NaN is transparent");
    Ok(())
}

#[test]
fn impossible_planes_are_refused() {
    let empty = decision_boundary(&plane(Field::Classes(Array3::zeros((0, 4, 2))), vec![]));
    assert!(empty.is_err_and(|e| e.to_string().contains("[0, 4, 2]")));
    let mut flat = plane(Field::Values(Array2::zeros((4, 4))), vec![]);
    flat.extent = [1.0, 1.0, 0.0, 1.0];
    assert!(decision_boundary(&flat).is_err_and(|e| e.to_string().contains("rising")));
    for classes in 1..=4 {
        let equal = plane(Field::Classes(Array3::from_elem((4, 4, classes), 0.25)), vec![]);
        assert_well_formed(&decision_boundary(&equal).unwrap_or_default());
    }
}

#[test]
fn e3_filters_are_scaled_one_by_one_about_grey() -> Result<(), Error> {
    let mut weights = Array4::<f32>::zeros((3, 3, 3, 4));
    weights.slice_mut(s![.., .., 0, 1]).fill(0.01);
    weights.slice_mut(s![.., .., 1, 2]).fill(-7.0);
    weights[[0, 0, 0, 3]] = f32::NAN;
    let svg = filters_grid("First <layer>", weights.view())?;
    assert_well_formed(&svg);
    assert!(svg.contains("4 filters of 3 × 3 × 3") && svg.contains("First &lt;layer&gt;"));
    let picture = &pictures(&svg)[0];
    let colours: std::collections::BTreeSet<[u8; 4]> = picture.pixels().map(|p| p.0).collect();
    let expected = [
        [0, 0, 0, 0],
        [128, 0, 128, 255],
        [128, 128, 128, 255],
        [255, 128, 128, 255],
    ];
    assert_eq!(colours.into_iter().collect::<Vec<_>>(), expected);
    Ok(())
}

#[test]
fn filters_of_any_depth_are_drawn() -> Result<(), Error> {
    for (channels, filters, note) in [
        (1, 6, "6 filters of 5 × 5 × 1"),
        (13, 32, "a row for each channel; the first 19 of 32 filters"),
        (300, 40, "the first 8 of 40 filters; the first 32 of 300 channels"),
    ] {
        let svg = filters_grid("Filters", Array4::ones((5, 5, channels, filters)).view())?;
        assert_well_formed(&svg);
        assert!(svg.contains(note), "{note}");
    }
    assert!(filters_grid("Filters", Array4::zeros((5, 5, 1, 0)).view())?.contains("no data"));
    assert!(filters_png(Array4::zeros((5, 5, 1, 0)).view()).is_err());
    Ok(())
}

/// A row for each channel: filter 1 is bright in channel 0 alone, so that its second tile is of no weight.
#[test]
fn channels_of_a_filter_stand_below_one_another() -> Result<(), Error> {
    let mut weights = Array4::<f32>::zeros((2, 2, 2, 3));
    weights.slice_mut(s![.., .., 0, 1]).fill(0.5);
    let picture = image::load_from_memory(&filters_png(weights.view())?).map(image::DynamicImage::into_rgba8);
    let picture = picture.unwrap_or_default();
    assert_eq!(picture.dimensions(), (3 * 66 - 2, 2 * 66 - 2));
    let grey = |column: u32, row: u32| picture.get_pixel(66 * column + 30, 66 * row + 30).0[0];
    assert_eq!([grey(0, 0), grey(1, 0), grey(2, 0)], [128, 255, 128]);
    assert_eq!([grey(0, 1), grey(1, 1), grey(2, 1)], [128, 128, 128]);
    Ok(())
}

#[test]
fn e8_error_gallery_keeps_pixels_and_says_true_to_predicted() -> Result<(), Error> {
    let picture = array![[[0u8], [255]], [[9], [80]]];
    let svg = gallery(
        "Errors",
        &[
            Tile::judged(picture, "a<b", "c"),
            Tile::new(Array3::zeros((4, 2, 3)), ""),
        ],
    )?;
    assert_well_formed(&svg);
    assert!(svg.contains("a&lt;b → c") && svg.contains("image-rendering:pixelated"));
    assert_eq!(pictures(&svg)[0].get_pixel(1, 1).0, [80, 80, 80, 255]);
    let svg = gallery(
        "Pairs",
        &[Tile::new(Array3::zeros((8, 8, 1)), "PermanentCrop\n89 %")],
    )?;
    assert!(svg.contains(">PermanentCrop<") && svg.contains(">89 %<"), "{svg}");
    assert!(gallery("Errors", &[])?.contains("no data"));
    assert!(gallery("Errors", &[Tile::new(Array3::zeros((2, 2, 7)), "")]).is_err());
    Ok(())
}

#[test]
fn e7_guesses_have_names_and_percent() -> Result<(), Error> {
    let guesses = vec![
        ("cat".to_string(), 0.75),
        ("dog".to_string(), 0.2),
        ("ox".to_string(), f64::NAN),
    ];
    let tile = Tile::judged(Array3::zeros((300, 200, 3)), "dog", "cat").guesses(guesses);
    let svg = gallery("Samples", &vec![tile; 250])?;
    assert_well_formed(&svg);
    for needle in [">75.0 %<", ">20.0 %<", ">NaN<", "The first 200 of 250.", ">dog<"] {
        assert!(svg.contains(needle), "{needle}");
    }
    assert!(
        pictures(&svg)[0].height() <= 160,
        "large pictures are shrunk before they are embedded"
    );
    Ok(())
}

#[test]
fn bars_show_values_and_count_what_is_missing() {
    let mut chart = BarChart {
        title: "F1 per class".into(),
        value_label: "F1".into(),
        names: vec!["a&b".into(), "c".into(), "d".into()],
        groups: vec![
            ("F1".into(), vec![0.5, f64::NAN]),
            ("recall".into(), vec![0.25, -1.0, 0.0]),
        ],
        ..BarChart::default()
    };
    let svg = bar_chart(&chart);
    assert_well_formed(&svg);
    for needle in [
        "a&amp;b",
        ">0.5<",
        ">0.25<",
        ">−1<",
        "2 points are not drawn",
        ">recall<",
    ] {
        assert!(svg.contains(needle), "{needle}");
    }
    chart.log = true;
    let svg = bar_chart(&chart);
    assert_well_formed(&svg);
    assert!(svg.contains("4 points are not drawn"));
    chart.names.clear();
    assert!(bar_chart(&chart).contains("no data"));
}

#[test]
fn histogram_bins_hold_every_finite_value() {
    let values: Vec<f64> = (0..1000)
        .map(|i| f64::from(i % 10))
        .chain([f64::NAN, f64::INFINITY])
        .collect();
    let svg = histogram(&Histogram {
        values,
        bins: 5,
        ..Histogram::default()
    });
    assert_well_formed(&svg);
    assert_eq!(svg.matches("<title>200 values from").count(), 5);
    assert!(svg.contains("2 points are not drawn"));
    for values in [vec![3.0], vec![2.0; 50], vec![0.0, 1e300]] {
        assert_well_formed(&histogram(&Histogram {
            values,
            ..Histogram::default()
        }));
    }
    assert!(histogram(&Histogram::default()).contains("no data"));
}
