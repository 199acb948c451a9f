//! Clouds of points and sheets of pictures.

mod wellformed;

use graticule_report::Error;
use graticule_report::figures::*;
use ndarray::Array3;
use wellformed::assert_well_formed;

fn of(classes: usize, points: usize) -> Cloud {
    Cloud {
        title: "Plane <1>".into(),
        note: "62 % of the variance".into(),
        x_label: "first".into(),
        y_label: "second".into(),
        points: (0..points)
            .map(|k| ((k * 7 % 13) as f64, (k * 5 % 11) as f64))
            .collect(),
        colouring: Colouring::Classes(
            (0..classes).map(|k| format!("class & {k}")).collect(),
            (0..points).map(|k| k % classes).collect(),
        ),
        marked: (0..points).map(|k| k % 9 == 0).collect(),
        mark_label: "wrong".into(),
    }
}

#[test]
fn every_class_is_in_the_legend_with_its_count() -> Result<(), Error> {
    let svg = cloud(&of(3, 30))?;
    assert_well_formed(&svg);
    for class in 0..3 {
        assert!(svg.contains(&format!("class &amp; {class} (10)")), "{svg}");
    }
    assert!(svg.contains("wrong (4)") && svg.contains("62 % of the variance"));
    // Three classes are all circles, by the three first colours.
    assert!(svg.contains("class=\"gs0\"") && svg.contains("class=\"gs2\"") && !svg.contains("class=\"gf"));
    Ok(())
}

#[test]
fn more_classes_than_colours_differ_in_shape() -> Result<(), Error> {
    let svg = cloud(&of(10, 400))?;
    assert_well_formed(&svg);
    // Class 8 has the colour of class 0, which is a circle, and the shape of a triangle; class 1 is a square.
    assert!(svg.contains("class=\"gf0\"") && svg.contains("class=\"gs0\"") && svg.contains("class=\"gf1\""));
    let crowd = cloud(&of(40, 400))?;
    assert_well_formed(&crowd);
    assert!(crowd.contains("and 16 more"));
    Ok(())
}

#[test]
fn values_have_a_scale_and_what_is_no_number_is_counted() -> Result<(), Error> {
    let mut chart = of(1, 20);
    chart.points[3].0 = f64::NAN;
    chart.marked.clear();
    chart.colouring = Colouring::Values("price".into(), (0..20).map(f64::from).collect());
    let svg = cloud(&chart)?;
    assert_well_formed(&svg);
    assert!(svg.contains("price") && svg.contains("1 point is not drawn") && svg.contains("colour scale"));
    assert_eq!(svg.matches("<circle").count(), 19);
    chart.colouring = Colouring::Values("median_house_value".into(), vec![2.0; 20]);
    assert!(cloud(&chart)?.contains(">median_house_value<"));
    assert_well_formed(&cloud(&chart)?);
    chart.points.iter_mut().for_each(|p| p.1 = f64::INFINITY);
    assert!(cloud(&chart)?.contains("no data"));
    Ok(())
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut chart = of(2, 10);
    chart.marked.pop();
    assert!(cloud(&chart).is_err());
    chart.marked.clear();
    chart.colouring = Colouring::Classes(vec!["one".into()], vec![1; 10]);
    assert!(
        cloud(&chart)
            .unwrap_err()
            .to_string()
            .contains("a name for each class")
    );
    chart.colouring = Colouring::Values("v".into(), vec![1.0; 9]);
    assert!(cloud(&chart).is_err());
}

#[test]
fn tiles_stand_in_rows_and_small_ones_in_the_middle() {
    let (large, small) = (
        Array3::from_elem((4, 4, 3), 7u8),
        Array3::from_elem((2, 4, 1), 9u8),
    );
    let sheet = tiles(&[large.clone(), small, large], 2, (8, 2), [255; 3]);
    assert_eq!(sheet.dim(), (18, 18, 3));
    assert_eq!((sheet[[0, 0, 0]], sheet[[0, 8, 0]]), (7, 255), "a gap of white");
    // The small one, enlarged twice too, leaves a quarter above and below.
    assert_eq!(
        (
            sheet[[1, 10, 0]],
            sheet[[2, 10, 2]],
            sheet[[5, 17, 1]],
            sheet[[6, 17, 1]]
        ),
        (255, 9, 9, 255)
    );
    assert_eq!((sheet[[10, 0, 0]], sheet[[10, 12, 0]]), (7, 255));
    assert_eq!(tiles(&[], 3, (8, 2), [255; 3]).dim(), (8, 8, 3));
}
