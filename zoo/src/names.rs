//! The list of names.

use crate::resnet_small::Shortcut;
use crate::{
    Network, alexnet, capsules, cnn_small, densenet, efficientnet, googlenet, inception, lenet1, lenet5,
    linear, local, maxout, mlp, mobilenet, resnet, resnet_small, squeezenet, unet, vgg, vit, xception,
};

macro_rules! networks {
    ($($name:literal, $input:expr, $outputs:literal, $about:literal, $source:literal, $build:expr;)*) => {
        /// Every named network, simple ones first.
        pub const NAMES: &[Network] = &[$(Network {
            name: $name,
            about: $about,
            source: $source,
            input: &$input,
            outputs: $outputs,
            build: $build,
        }),*];
    };
}

const DIGIT: [usize; 3] = [28, 28, 1];
const PHOTO: [usize; 3] = [224, 224, 3];
const TINY: [usize; 3] = [32, 32, 3];

networks! {
    "linear", DIGIT, 10, "linear regression; for classes, softmax regression", "rows L1, L13", linear::outputs;
    "logistic", DIGIT, 10, "logistic regression: linear units read as log-odds", "row L2", linear::outputs;
    "perceptron", DIGIT, 10, "one layer of linear threshold units", "Rosenblatt 1958; rows L3, L4", linear::outputs;
    "mlp", DIGIT, 10, "two hidden layers, sized for the input", "rows L9, L12, L13", mlp::outputs;
    "lenet1", DIGIT, 10, "the first convolutional network for digits", "LeCun et al. 1990", lenet1::outputs;
    "lenet5", DIGIT, 10, "LeNet-5 with ReLU and max-pooling", "LeCun et al. 1998, in today's form", lenet5::modern;
    "lenet5-classic", DIGIT, 10, "LeNet-5 with tanh and average pooling", "LeCun et al. 1998", lenet5::classic;
    "cnn-small", DIGIT, 10, "3×3 convolutions with batch norm, as deep as the image asks for", "Simonyan & Zisserman 2015; Ioffe & Szegedy 2015; Lin et al. 2014", cnn_small::outputs;
    "maxout", DIGIT, 10, "two layers of maxout units", "Goodfellow et al. 2013; row A8", maxout::outputs;
    "local", DIGIT, 10, "convolutions that do not share their weights", "Taigman et al. 2014; row L24", local::outputs;
    "capsnet-small", DIGIT, 10, "capsules with routing, a quarter of the filters", "Sabour et al. 2017; row L38", |x, k| capsules::outputs(x, k, [64, 8]);
    "capsnet", DIGIT, 10, "capsules with routing", "Sabour et al. 2017; row L38", |x, k| capsules::outputs(x, k, [256, 32]);
    "alexnet", [227, 227, 3], 1000, "`alexnet-2012` for 227×227, `alexnet-torchvision` for other sizes", "Krizhevsky et al. 2012", alexnet::by_size;
    "alexnet-2012", [227, 227, 3], 1000, "AlexNet as courses show it, without groups", "Krizhevsky et al. 2012", alexnet::table;
    "alexnet-grouped", [227, 227, 3], 1000, "AlexNet as it ran, in two groups", "Krizhevsky et al. 2012", alexnet::grouped;
    "alexnet-torchvision", PHOTO, 1000, "AlexNet with fewer filters, for any size", "Krizhevsky 2014", alexnet::torchvision;
    "vgg11", PHOTO, 1000, "3×3 convolutions only, eight of them", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG11));
    "vgg13", PHOTO, 1000, "ten convolutions", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG13));
    "vgg16", PHOTO, 1000, "thirteen convolutions", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG16));
    "vgg19", PHOTO, 1000, "sixteen convolutions", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG19));
    "vgg11-bn", PHOTO, 1000, "VGG-11 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG11));
    "vgg13-bn", PHOTO, 1000, "VGG-13 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG13));
    "vgg16-bn", PHOTO, 1000, "VGG-16 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG16));
    "vgg19-bn", PHOTO, 1000, "VGG-19 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG19));
    "googlenet", PHOTO, 1000, "inception modules, as torchvision has them", "Szegedy et al. 2014", googlenet::torchvision;
    "googlenet-2014", PHOTO, 1000, "inception modules, as in the paper", "Szegedy et al. 2014", googlenet::paper;
    "inception-naive", [28, 28, 256], 1000, "one inception module before its improvement", "Szegedy et al. 2014", googlenet::naive;
    "inception-v3", [299, 299, 3], 1000, "inception modules of small and flat filters", "Szegedy et al. 2015", inception::v3;
    "resnet18", PHOTO, 1000, "residual blocks of two convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET18);
    "resnet34", PHOTO, 1000, "residual blocks of two convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET34);
    "resnet50", PHOTO, 1000, "residual bottlenecks of three convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET50);
    "resnet101", PHOTO, 1000, "residual bottlenecks of three convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET101);
    "resnet152", PHOTO, 1000, "residual bottlenecks of three convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET152);
    "resnet20", TINY, 10, "20 layers for small images, shortcuts filled with zeros", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 3, Shortcut::A);
    "resnet20-b", TINY, 10, "20 layers for small images, shortcuts by convolution", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 3, Shortcut::B);
    "resnet32", TINY, 10, "32 layers for small images, shortcuts filled with zeros", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 5, Shortcut::A);
    "resnet32-b", TINY, 10, "32 layers for small images, shortcuts by convolution", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 5, Shortcut::B);
    "resnet44", TINY, 10, "44 layers for small images, shortcuts filled with zeros", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 7, Shortcut::A);
    "resnet44-b", TINY, 10, "44 layers for small images, shortcuts by convolution", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 7, Shortcut::B);
    "resnet56", TINY, 10, "56 layers for small images, shortcuts filled with zeros", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 9, Shortcut::A);
    "resnet56-b", TINY, 10, "56 layers for small images, shortcuts by convolution", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 9, Shortcut::B);
    "resnet110", TINY, 10, "110 layers for small images, shortcuts filled with zeros", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 18, Shortcut::A);
    "resnet110-b", TINY, 10, "110 layers for small images, shortcuts by convolution", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 18, Shortcut::B);
    "resnet1202", TINY, 10, "1202 layers for small images, shortcuts filled with zeros", "He et al. 2015", |x, k| resnet_small::outputs(x, k, 200, Shortcut::A);
    "resnext50", PHOTO, 1000, "ResNet-50 with 32 groups of 4", "Xie et al. 2016", |x, k| resnet::outputs(x, k, &resnet::RESNEXT50);
    "resnext101", PHOTO, 1000, "ResNet-101 with 32 groups of 8", "Xie et al. 2016", |x, k| resnet::outputs(x, k, &resnet::RESNEXT101);
    "resnext101-64x4d", PHOTO, 1000, "ResNet-101 with 64 groups of 4", "Xie et al. 2016", |x, k| resnet::outputs(x, k, &resnet::RESNEXT101_64);
    "se-resnet50", PHOTO, 1000, "ResNet-50 with squeeze and excitation", "Hu et al. 2017", |x, k| resnet::outputs(x, k, &resnet::SE_RESNET50);
    "squeezenet1.0", PHOTO, 1000, "fire modules", "Iandola et al. 2016", squeezenet::version_1_0;
    "squeezenet", PHOTO, 1000, "fire modules, version 1.1", "Iandola et al. 2016", squeezenet::version_1_1;
    "densenet121", PHOTO, 1000, "dense blocks, 121 layers", "Huang et al. 2016", |x, k| densenet::outputs(x, k, densenet::DENSENET121);
    "densenet169", PHOTO, 1000, "dense blocks, 169 layers", "Huang et al. 2016", |x, k| densenet::outputs(x, k, densenet::DENSENET169);
    "densenet201", PHOTO, 1000, "dense blocks, 201 layers", "Huang et al. 2016", |x, k| densenet::outputs(x, k, densenet::DENSENET201);
    "densenet264", PHOTO, 1000, "dense blocks, 264 layers", "Huang et al. 2016", |x, k| densenet::outputs(x, k, densenet::DENSENET264);
    "xception", [299, 299, 3], 1000, "separable convolutions", "Chollet 2016", xception::outputs;
    "mobilenetv2", PHOTO, 1000, "inverted residuals", "Sandler et al. 2018", mobilenet::v2;
    "efficientnet-b0", PHOTO, 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B0);
    "efficientnet-b1", [240, 240, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B1);
    "efficientnet-b2", [260, 260, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B2);
    "efficientnet-b3", [300, 300, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B3);
    "efficientnet-b4", [380, 380, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B4);
    "efficientnet-b5", [456, 456, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B5);
    "efficientnet-b6", [528, 528, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B6);
    "efficientnet-b7", [600, 600, 3], 1000, "depth, width and resolution scaled together", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::B7);
    "efficientnet-lite0", PHOTO, 1000, "EfficientNet-B0 for small devices", "Tan & Le 2019", |x, k| efficientnet::outputs(x, k, &efficientnet::LITE0);
    "vit-b16", PHOTO, 1000, "a transformer on patches", "Dosovitskiy et al. 2020", |x, k| vit::outputs(x, k, &vit::B16);
    "vit-l16", PHOTO, 1000, "a transformer on patches", "Dosovitskiy et al. 2020", |x, k| vit::outputs(x, k, &vit::L16);
    "vit-h14", PHOTO, 1000, "a transformer on patches", "Dosovitskiy et al. 2020", |x, k| vit::outputs(x, k, &vit::H14);
    "unet", [256, 256, 3], 1, "outputs for each pixel", "Ronneberger et al. 2015", unet::outputs;
}
