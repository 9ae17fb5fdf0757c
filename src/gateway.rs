//! The way of a request.
/// Which generated images are kept, and where?
pub mod images;
/// What is asked?
pub mod inspect;
/// Which models are there?
pub mod models;
/// How does the body go out where a pool calls the model by another name?
pub mod splice;
