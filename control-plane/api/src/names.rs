//! The names rules of the API.
