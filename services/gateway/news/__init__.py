"""News about coins: how they feel, and what prices did after them."""
