//! The quantity rules of the API.
