//! The table rules of the API.
