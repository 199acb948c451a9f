//! Makes a graph run: plan, memory, kernels per instruction set, worker threads.
