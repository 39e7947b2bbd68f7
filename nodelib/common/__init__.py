"""What both twins stand on: the methods as data, the choice of steps, what a solve returns, the checks of arguments."""
