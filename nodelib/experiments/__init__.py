"""What is trained and measured: training, evaluations, costs, memory, and the records that keep the results."""
