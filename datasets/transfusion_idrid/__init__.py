"""IDRiD photographs with grades of retinopathy and macular edema."""
