"""From a run or a bundle to figures: scores of images, what is measured on them, and what people read of it."""
