"""A simulated exchange that speaks Binance USDⓈ-M futures, keeps the truth, and fails on command."""
