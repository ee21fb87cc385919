"""Examples looked at one by one and all together: what they are like, and what is wrong with them."""
