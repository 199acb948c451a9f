//! Layers, activations, losses, metrics, optimizers, schedules, initialisers, regularisers.
