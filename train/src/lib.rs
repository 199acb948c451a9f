//! The training loop, callbacks, checkpoints, run folder, trackers, tuning.
