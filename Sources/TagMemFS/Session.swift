import TagMemCore
