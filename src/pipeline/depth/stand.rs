//! An engine's depth networks: each loaded when it is first asked for, kept, and shared by all calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tch::Device;
use tokio::sync::OnceCell;

use super::model::{self, DepthModel};
use super::network::DepthNetwork;
use super::room::{self, Place, Wish};
use crate::checkpoint::dtype::DType;
use crate::models::midas::{self, Midas};
use crate::pipeline::config::{EngineConfig, Precision};
use crate::pipeline::device::{device, fastest};
use crate::pipeline::error::{EngineError, INTERNAL, MODEL_FILE};
use crate::pipeline::humans::bell::Bell;
use crate::pipeline::humans::desk::Desk;
use crate::pipeline::humans::post::{Account, AnyPost, Counter, Post};
use crate::pipeline::perception::ModelState;
use crate::pipeline::plan::measured::working_set;
use crate::pipeline::plan::report::{device_name, precision_name};
use crate::pipeline::plan::sizes::Network;
use crate::pipeline::plan::wish::Asked;
use crate::pipeline::pool::{closed, panicked};
use crate::runtime::threads::{multiplies_bf16, worker_count};

/// Frames in one run on a card, where the caller does not say. On the CPU they go one by one: it is no
/// slower, and a call that is aborted ends sooner.
const BATCH_CARD: usize = 8;
/// A decoded frame and its map, bytes, as the plan reckons with them.
const FRAME: u64 = 1920 * 1080 * (3 + 4);

/// What the networks need to know of the engine's configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub cache_dir: Option<PathBuf>,
    /// Empty: `auto`.
    pub device: String,
    pub precision: Option<DType>,
    pub memory_budget: Option<u64>,
    /// Inside an operator on the CPU; 0: all cores.
    pub threads: usize,
    pub batch: usize,
    pub heads: Option<i64>,
    pub files: BTreeMap<String, PathBuf>,
}

impl Settings {
    pub fn of(config: &EngineConfig) -> Self {
        Self {
            cache_dir: config.cache_dir.clone(),
            device: config.device.clone(),
            precision: match (config.depth.precision, config.precision) {
                (Precision::Auto, Precision::Auto) => None,
                (Precision::Fp32, _) | (Precision::Auto, Precision::Fp32) => Some(DType::F32),
                (Precision::Bf16, _) | (Precision::Auto, Precision::Bf16) => Some(DType::BF16),
                (Precision::Fp16, _) | (Precision::Auto, Precision::Fp16) => Some(DType::F16),
            },
            memory_budget: config
                .memory_budget_mb
                .map(|megabytes| megabytes.saturating_mul(1 << 20)),
            threads: config.threads,
            batch: config.depth.batch_size,
            heads: config.depth.heads.map(i64::from),
            files: config.depth.files.clone(),
        }
    }
}

impl Settings {
    /// How the network of that file is loaded, if there is memory for it.
    pub fn place(&self, model: DepthModel, path: &Path) -> Result<Place, EngineError> {
        let named = match self.device.as_str() {
            "" => "auto",
            name => name,
        };
        let device = device(named, fastest())?;
        let wish = Wish {
            device,
            precision: match self.precision {
                Some(precision) => Asked::Fixed(precision),
                None => Asked::Auto(usual_precision(device)),
            },
            batch: match (self.batch, device) {
                (0, Device::Cpu) => 1,
                (0, _) => BATCH_CARD,
                (batch, _) => batch,
            },
            frame_bytes: FRAME * (worker_count(self.threads) as u64 + 9),
        };
        room::find(model.0, path, wish, self.memory_budget)
    }

    pub fn network(&self, place: Place) -> midas::Settings {
        midas::Settings {
            heads: self.heads,
            ..midas::Settings::new(place.precision, place.device, worker_count(self.threads))
        }
    }
}

/// A network at its desk.
pub struct Open {
    pub counter: Arc<Counter<DepthNetwork>>,
    account: Arc<Account>,
    desk: Desk,
}

type Slot = Arc<OnceCell<Arc<Open>>>;

/// All of them. Clones are the same.
#[derive(Clone)]
pub struct Stand(Arc<Inner>);

struct Inner {
    settings: Settings,
    slots: [(DepthModel, Slot); 4],
    /// Every network that was ever opened, to be closed in the end.
    opened: Mutex<Vec<Arc<Open>>>,
    closed: AtomicBool,
}

impl Inner {
    fn opened(&self) -> MutexGuard<'_, Vec<Arc<Open>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stand {
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            slots: DepthModel::ALL.map(|model| (model, Slot::default())),
            opened: Mutex::default(),
            closed: AtomicBool::new(false),
        }))
    }

    /// The network, loaded if it is not yet. One load at a time for all who ask; one that fails is
    /// tried again by the next who does.
    pub async fn open(&self, model: DepthModel) -> Result<Arc<Open>, EngineError> {
        if self.is_closed() {
            return Err(closed());
        }
        let slot = self.0.slots.iter().find(|(known, _)| *known == model);
        let Some((_, slot)) = slot else {
            return Err(EngineError::new(INTERNAL, "a depth model without a slot"));
        };
        if let Some(open) = slot.get() {
            return Ok(Arc::clone(open));
        }
        let (stand, slot) = (self.clone(), Arc::clone(slot));
        // On a task of its own: whoever asked first may give up, and others wait for the same load.
        let loading = tokio::spawn(async move {
            let open = slot.get_or_try_init(|| async {
                let load = move || stand.load(model);
                let loaded = tokio::task::spawn_blocking(load).await;
                loaded.unwrap_or_else(|e| match e.try_into_panic() {
                    Ok(panic) => Err(panicked(panic.as_ref())),
                    Err(_) => Err(closed()),
                })
            });
            open.await.map(Arc::clone)
        });
        match loading.await {
            Ok(open) => open,
            Err(_) => Err(closed()),
        }
    }

    /// Blocks.
    fn load(&self, model: DepthModel) -> Result<Arc<Open>, EngineError> {
        let settings = &self.0.settings;
        let store = model::store(settings.cache_dir.as_ref())?;
        let path = model::find(&store, model, &settings.files)?;
        let place = settings.place(model, &path)?;
        let network = settings.network(place);
        let bell: Arc<Bell> = Arc::default();
        let counter = Arc::new(Counter::new(Arc::clone(&bell)));
        let account = Arc::new(Account::new(
            model.id(),
            precision_name(place.precision),
            device_name(place.device),
            place.bytes,
            true,
        ));
        let working = working_set(Network::Depth(model.0), place.precision).bytes(1);
        let budget = settings.memory_budget;
        let load = move || {
            let loaded = Midas::load(&path, model.0, network);
            loaded
                .map(|(midas, _)| DepthNetwork::new(midas, place.device, working, budget))
                .map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))
        };
        let post = Post::new(
            Arc::clone(&counter),
            Box::new(load),
            Arc::clone(&account),
            place.batch,
        );
        let posts: Vec<Box<dyn AnyPost>> = vec![Box::new(post)];
        let open = Arc::new(Open {
            counter,
            account,
            desk: Desk::start(place.device, network.threads, bell, posts)?,
        });
        self.0.opened().push(Arc::clone(&open));
        // The engine was closed meanwhile: whoever closed it did not see this one.
        if self.is_closed() {
            open.desk.close();
            return Err(closed());
        }
        Ok(open)
    }

    fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// The networks that were loaded, as they are now.
    pub fn models(&self) -> Vec<ModelState> {
        let opened = self.0.opened();
        opened.iter().map(|open| open.account.state()).collect()
    }

    /// No more work is taken; does not wait.
    pub fn begin_close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0
            .opened()
            .iter()
            .for_each(|open| open.desk.begin_close());
    }

    /// As [`Stand::begin_close`], then waits for the owners. Blocks.
    pub fn close(&self) {
        self.begin_close();
        let opened = self.0.opened().clone();
        opened.iter().for_each(|open| open.desk.close());
    }
}

/// bf16 where it is several times as fast; else fp32.
fn usual_precision(device: Device) -> DType {
    if device.is_cuda() || multiplies_bf16() {
        DType::BF16
    } else {
        DType::F32
    }
}
