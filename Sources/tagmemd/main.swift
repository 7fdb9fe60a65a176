import TagMemFS
