"""Parts of pictures: what a photo is of, the things in it, and what made a result match. No second model is needed."""
