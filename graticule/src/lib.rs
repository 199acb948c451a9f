//! Trains, explains and maps neural networks on images, rasters, tables and text.
