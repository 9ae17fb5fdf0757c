//! What is a request told of what is kept?
