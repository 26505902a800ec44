//! The time rules of the API.
