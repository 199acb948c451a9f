//! How the networks that others have trained and published want their images.

use data::preprocess::ImageEncoding;

/// Mean and deviation of ImageNet's channels, white = 1.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// From −1 to 1.
const CENTRED: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);
/// (byte − 127)/128.
const BYTES: ([f32; 3], [f32; 3]) = ([127.0 / 255.0; 3], [128.0 / 255.0; 3]);

/// The preprocessing of a named network's published weights for colour images of this size; `None` where none are known.
///
/// GoogLeNet and Inception v3 of torchvision take ImageNet's numbers and turn them into −1 to 1 themselves; here that is one
/// step.
pub fn encoding(network: &str, [height, width, channels]: [usize; 3]) -> Option<ImageEncoding> {
    let families = [
        "alexnet",
        "vgg",
        "resn",
        "se-resnet",
        "squeezenet",
        "densenet",
        "mobilenet",
        "efficientnet",
        "vit",
    ];
    let (mean, std) = match network {
        n if n.starts_with("efficientnet-lite") => BYTES,
        "googlenet" | "inception-v3" | "xception" => CENTRED,
        n if families.iter().any(|family| n.starts_with(family)) => IMAGENET,
        _ => return None,
    };
    (channels == 3).then(|| of([height, width, channels], mean.to_vec(), std.to_vec()))
}

/// Images of this size, less `mean`, over `std`; others are resized.
pub fn of([height, width, channels]: [usize; 3], mean: Vec<f32>, std: Vec<f32>) -> ImageEncoding {
    ImageEncoding {
        height,
        width,
        channels,
        pixel_max: 255,
        mean,
        std,
        resize: true,
    }
}
