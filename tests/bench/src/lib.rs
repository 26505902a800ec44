//! sampan-bench
