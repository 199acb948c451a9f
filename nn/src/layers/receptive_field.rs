//! How far a network looks (curriculum rows I19, L23, X38).

/// The rows (or columns) of the input that one output of a stack of windows sees, along one axis.
///
/// Each layer is `(size, stride, dilation)`, first layer first. A layer adds
/// `dilation·(size − 1)` steps, each as long as the product of all strides before it.
///
/// ```
/// use graticule_nn::layers::receptive_field;
/// // Two 3×3 convolutions see what one 5×5 sees.
/// assert_eq!(receptive_field(&[(3, 1, 1), (3, 1, 1)]), receptive_field(&[(5, 1, 1)]));
/// ```
pub fn receptive_field(layers: &[(usize, usize, usize)]) -> usize {
    let mut field = 1;
    let mut step = 1;
    for &(size, stride, dilation) in layers {
        field += step * dilation * size.saturating_sub(1);
        step *= stride;
    }
    field
}
