//! sampan-tidy
