//! The status rules of the API.
