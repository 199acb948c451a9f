//! Safetensors and the self-describing model file.
