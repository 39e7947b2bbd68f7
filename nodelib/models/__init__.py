"""The networks of the chapters, each written as the paper describes it."""
