//! Figures (SVG, PNG) and the single-file HTML report.
