//! Log-ins and tokens over HTTP.
