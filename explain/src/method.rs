//! The one call, and the methods that it knows.

use ndarray::ArrayD;

use crate::target::{Answers, Resolved};
use crate::{
    ExplainError, Explanation, GradCam, IntegratedGradients, Occlusion, Rise, SmoothGrad, Subject, Target,
    grad_cam, gradient, guided, integrated, occlusion, rise, smooth,
};

/// How it is found out what matters. The documentation of each kind of settings has its formula and source.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Hides parts of the picture and sees what the network says then (row E1; Zeiler & Fergus 2013).
    Occlusion(Occlusion),
    /// Saliency: |∂score/∂x|, the largest of the bands (row E2; Simonyan, Vedaldi & Zisserman 2013).
    Gradient,
    /// x · ∂score/∂x (Shrikumar et al. 2016), summed over the bands; for a linear network each number's share of the
    /// score. x is the encoded input: 0 is the mean of the training samples.
    GradientTimesInput,
    /// The mean gradient over noisy copies (Smilkov et al. 2017).
    SmoothGrad(SmoothGrad),
    /// (x − x′) · the mean gradient between a baseline x′ and x (Sundararajan, Taly & Yan 2017).
    IntegratedGradients(IntegratedGradients),
    /// The gradient, with each ReLU letting only positive gradients back (row E4; Springenberg et al. 2014):
    /// R ← R · \[R > 0\] · \[x > 0\].
    GuidedBackprop,
    /// The deconvnet (row E4; Zeiler & Fergus 2013): the way back through transposed filters and the switches of
    /// max-pooling, with a ReLU of what comes back in place of each ReLU's slope: R ← R · \[R > 0\].
    Deconvnet,
    /// Feature maps of a layer, weighted by the mean gradient of each (Selvaraju et al. 2016).
    GradCam(GradCam),
    /// The mean of what the network says over random masks that show a pixel (Petsiuk, Das & Saenko 2018).
    Rise(Rise),
}

impl Method {
    /// The names of all methods, as [`Method::named`] reads them.
    pub const NAMES: [&'static str; 9] = [
        "occlusion",
        "gradient",
        "gradient-x-input",
        "smoothgrad",
        "integrated",
        "guided",
        "deconvnet",
        "grad-cam",
        "rise",
    ];

    /// The method of this name with its usual settings.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Occlusion(Occlusion::default()),
            Self::Gradient,
            Self::GradientTimesInput,
            Self::SmoothGrad(SmoothGrad::default()),
            Self::IntegratedGradients(IntegratedGradients::default()),
            Self::GuidedBackprop,
            Self::Deconvnet,
            Self::GradCam(GradCam::default()),
            Self::Rise(Rise::default()),
        ];
        all.into_iter().find(|method| method.name() == name)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Occlusion(_) => "occlusion",
            Self::Gradient => "gradient",
            Self::GradientTimesInput => "gradient-x-input",
            Self::SmoothGrad(_) => "smoothgrad",
            Self::IntegratedGradients(_) => "integrated",
            Self::GuidedBackprop => "guided",
            Self::Deconvnet => "deconvnet",
            Self::GradCam(_) => "grad-cam",
            Self::Rise(_) => "rise",
        }
    }

    /// Whether it needs pictures `[H, W, C]`; the others take samples of any shape.
    pub fn needs_pictures(&self) -> bool {
        matches!(self, Self::Occlusion(_) | Self::GradCam(_) | Self::Rise(_))
    }

    /// Whether it learns on the way what the network says of the target.
    fn answers_itself(&self) -> bool {
        matches!(
            self,
            Self::Gradient | Self::GradientTimesInput | Self::GuidedBackprop | Self::Deconvnet
        )
    }

    /// Whether its map tells for from against (positive from negative), or only how much.
    pub fn signed(&self) -> bool {
        matches!(
            self,
            Self::Occlusion(_) | Self::GradientTimesInput | Self::IntegratedGradients(_)
        )
    }
}

/// Explains what the network says of `inputs` `[N, …]` (encoded as the network reads them) about `target`.
///
/// # Errors
/// [`ExplainError`]: inputs of another shape, an output or layer that does not exist, a method that does not suit the
/// network, settings that cannot be.
pub fn explain(
    subject: &mut Subject,
    inputs: &ArrayD<f32>,
    target: &Target,
    method: &Method,
) -> Result<Explanation, ExplainError> {
    if method.needs_pictures() {
        subject.picture(method.name())?;
    }
    // The network is asked before only where its answer is needed: a gradient's own pass gives it, too.
    let known = match method.answers_itself() {
        true => subject.named(inputs, target)?,
        false => None,
    };
    let (resolved, answers) = match known {
        Some(resolved) => (resolved, Answers::default()),
        None => subject.resolve(inputs, target)?,
    };
    let question = Question {
        inputs: &inputs.as_standard_layout().into_owned(),
        resolved: &resolved,
        answers: &answers,
    };
    let found = match method {
        Method::Occlusion(settings) => occlusion::explain(subject, &question, settings)?,
        Method::Gradient => gradient::explain(subject, &question, false)?,
        Method::GradientTimesInput => gradient::explain(subject, &question, true)?,
        Method::SmoothGrad(settings) => smooth::explain(subject, &question, settings)?,
        Method::IntegratedGradients(settings) => integrated::explain(subject, &question, settings)?,
        Method::GuidedBackprop => guided::explain(subject, &question, guided::Rule::Guided)?,
        Method::Deconvnet => guided::explain(subject, &question, guided::Rule::Deconvnet)?,
        Method::GradCam(settings) => grad_cam::explain(subject, &question, settings)?,
        Method::Rise(settings) => rise::explain(subject, &question, settings)?,
    };
    let mut found = Explanation {
        method: method.clone(),
        outputs: resolved.outputs,
        ..found
    };
    if found.scores.is_empty() {
        (found.scores, found.predictions) = (answers.scores, answers.predictions);
    }
    Ok(found)
}

/// What is asked of a method: inputs, the target, and what the network says of it.
pub(crate) struct Question<'a> {
    /// `[N, …]`, row-major.
    pub inputs: &'a ArrayD<f32>,
    pub resolved: &'a Resolved,
    /// Empty where the method finds them itself.
    pub answers: &'a Answers,
}

impl Question<'_> {
    pub fn count(&self) -> usize {
        self.inputs.shape()[0]
    }

    /// Numbers of one sample.
    pub fn len(&self) -> usize {
        self.inputs.len() / self.count().max(1)
    }

    pub fn sample(&self, k: usize) -> &[f32] {
        let len = self.len();
        // Rows were laid out in order by `explain`.
        &self.inputs.as_slice().unwrap_or_default()[k * len..(k + 1) * len]
    }
}
