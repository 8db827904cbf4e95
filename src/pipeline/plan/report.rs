//! The plan as `health()` and `warmup` show it.

use serde::Serialize;
use tch::Device;

use crate::checkpoint::dtype::DType;

use super::sizes::Network;

/// What is loaded where, why, and how much memory that takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    #[serde(rename = "models")]
    pub components: Vec<Component>,
    /// Crops in one forward pass, at most.
    pub batch: usize,
    /// The batch that was wished for.
    pub wished_batch: usize,
    /// RAM first, then the cards in use.
    pub devices: Vec<DeviceUse>,
    /// As wished first, then every step of the ladder that was looked at.
    #[serde(rename = "steps")]
    pub ladder: Vec<Trial>,
}

/// A network and its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// `vitdet`, `regnety`, `hmr2`, `vitpose`
    pub name: &'static str,
    /// `fp32`, `bf16`, `fp16`
    pub precision: &'static str,
    /// `cpu`, `cuda:N`
    pub device: String,
    pub residence: Residence,
    pub weight_bytes: u64,
    /// Beside the weights, while it works.
    pub working_bytes: u64,
    #[serde(skip)]
    pub network: Network,
    #[serde(skip)]
    pub dtype: DType,
    #[serde(skip)]
    pub place: Device,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Residence {
    /// Loaded once, kept.
    Resident,
    /// Loaded when its turn comes, let go after it.
    OnDemand,
}

/// A device's memory under the plan, bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceUse {
    pub device: String,
    /// The most the plan takes at one time.
    pub needed_bytes: u64,
    /// What there was when the plan was made; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<u64>,
    /// What bounds it, in words.
    pub bound: String,
}

/// A step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Step {
    #[serde(rename = "as wished")]
    AsWished,
    #[serde(rename = "bf16")]
    Bf16,
    #[serde(rename = "detector on the CPU")]
    DetectorOnCpu,
    #[serde(rename = "RegNetY as the detector")]
    RegNetY,
    #[serde(rename = "models on demand, one after the other")]
    OnDemand,
}

impl Step {
    pub fn text(self) -> &'static str {
        match self {
            Self::AsWished => "as wished",
            Self::Bf16 => "bf16",
            Self::DetectorOnCpu => "detector on the CPU",
            Self::RegNetY => "RegNetY as the detector",
            Self::OnDemand => "models on demand, one after the other",
        }
    }
}

/// What became of a step, with what stood before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    pub step: Step,
    /// Whether it is part of the plan.
    pub taken: bool,
    /// Why it was taken, or not.
    pub reason: String,
    /// What the networks would need at least, with batches of one, after this step.
    pub needs: Vec<Needed>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needed {
    pub device: String,
    pub bytes: u64,
}

impl Plan {
    /// The place of `network`, if it is loaded.
    pub fn component(&self, network: Network) -> Option<&Component> {
        self.components.iter().find(|c| c.network == network)
    }

    /// The detector that is loaded; none where boxes come from elsewhere.
    pub fn detector(&self) -> Option<&Component> {
        self.component(Network::VitDet)
            .or_else(|| self.component(Network::RegNetY))
    }

    /// The steps that were taken against the wish.
    pub fn downgrades(&self) -> impl Iterator<Item = &Trial> {
        self.ladder
            .iter()
            .filter(|trial| trial.taken && trial.step != Step::AsWished)
    }
}

/// `cpu` or `cuda:N`.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// As the options call it.
pub fn precision_name(precision: DType) -> &'static str {
    match precision {
        DType::F32 => "fp32",
        DType::BF16 => "bf16",
        DType::F16 => "fp16",
        other => other.name(),
    }
}
