mod django;
mod export;
